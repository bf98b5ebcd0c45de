/*
 * SHA-512 of eight blocks at once, in the 64-bit lanes of 512-bit registers. AVX-512 rotates in one
 * instruction and does any function of three bits in one: a round is half as long as with AVX2.
 */

#include <immintrin.h>

#include "block-hash.h"

typedef uint64_t word;
typedef __m512i vec;

#define LANES 8
#define ROUNDS 80
#define CHUNK 128
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define FUNCTION sha512_avx512
#define initial sha512_initial
#define k sha512_k

#define add _mm512_add_epi64
#define splat(x) _mm512_set1_epi64((long long)(x))
#define shift_right _mm512_srli_epi64
#define rotate_right _mm512_ror_epi64
/* The last argument is the truth table: bit 4a+2b+c is the answer for the bits a, b, c. */
#define xor3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define choose(e, f, g) _mm512_ternarylogic_epi64(e, f, g, 0xca)
#define majority(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xe8)

#define big_sigma_0(x) xor3(rotate_right(x, 28), rotate_right(x, 34), rotate_right(x, 39))
#define big_sigma_1(x) xor3(rotate_right(x, 14), rotate_right(x, 18), rotate_right(x, 41))
#define small_sigma_0(x) xor3(rotate_right(x, 1), rotate_right(x, 8), shift_right(x, 7))
#define small_sigma_1(x) xor3(rotate_right(x, 19), rotate_right(x, 61), shift_right(x, 6))

/* Twice 8 words of 8 blocks, transposed: by pairs of lanes, then by 128-bit quarters, twice. */
static inline __attribute__((always_inline)) TARGET void load_words(const uint8_t *in[8], vec w[16])
{
	const vec big_endian = _mm512_broadcast_i32x4(
		_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));

#pragma GCC unroll 2
	for (int half = 0; half < 2; half++) {
		vec row[8], pair[8], quad[8];
#pragma GCC unroll 8
		for (int i = 0; i < 8; i++)
			row[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(in[i] + 64 * half),
						     big_endian);
#pragma GCC unroll 4
		for (int i = 0; i < 8; i += 2) {
			pair[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);
			pair[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]);
		}
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			const int from = i + (i & 2); /* 0, 1, 4, 5 */
			quad[from] = _mm512_shuffle_i64x2(pair[from], pair[from + 2], 0x88);
			quad[from + 2] = _mm512_shuffle_i64x2(pair[from], pair[from + 2], 0xdd);
		}
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			w[8 * half + i] = _mm512_shuffle_i64x2(quad[i], quad[i + 4], 0x88);
			w[8 * half + i + 4] = _mm512_shuffle_i64x2(quad[i], quad[i + 4], 0xdd);
		}
	}
}

#include "sha2-lanes.h"
