/*
 * SHA-256 of sixteen blocks at once, in the 32-bit lanes of 512-bit registers: for processors that
 * have AVX-512 and no SHA instructions.
 */

#include <immintrin.h>

#include "block-hash.h"

typedef uint32_t word;
typedef __m512i vec;

#define LANES 16
#define ROUNDS 64
#define CHUNK 64
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define FUNCTION sha256_avx512
#define initial sha256_initial
#define k sha256_k

#define add _mm512_add_epi32
#define splat(x) _mm512_set1_epi32((int)(x))
#define shift_right _mm512_srli_epi32
#define rotate_right _mm512_ror_epi32
/* The last argument is the truth table: bit 4a+2b+c is the answer for the bits a, b, c. */
#define xor3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define choose(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define majority(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

#define big_sigma_0(x) xor3(rotate_right(x, 2), rotate_right(x, 13), rotate_right(x, 22))
#define big_sigma_1(x) xor3(rotate_right(x, 6), rotate_right(x, 11), rotate_right(x, 25))
#define small_sigma_0(x) xor3(rotate_right(x, 7), rotate_right(x, 18), shift_right(x, 3))
#define small_sigma_1(x) xor3(rotate_right(x, 17), rotate_right(x, 19), shift_right(x, 10))

/* 16 words of 16 blocks, transposed: by two lanes, by four lanes, then by 128-bit quarters, twice. */
static inline __attribute__((always_inline)) TARGET void load_words(const uint8_t *in[16], vec w[16])
{
	const vec big_endian = _mm512_broadcast_i32x4(
		_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
	vec row[16], two[16], four[16];

#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		row[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(in[i]), big_endian);
#pragma GCC unroll 8
	for (int i = 0; i < 16; i += 2) {
		two[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
		two[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 16; i += 4) {
		four[i] = _mm512_unpacklo_epi64(two[i], two[i + 2]);
		four[i + 1] = _mm512_unpackhi_epi64(two[i], two[i + 2]);
		four[i + 2] = _mm512_unpacklo_epi64(two[i + 1], two[i + 3]);
		four[i + 3] = _mm512_unpackhi_epi64(two[i + 1], two[i + 3]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		const vec even_low = _mm512_shuffle_i32x4(four[i], four[i + 4], 0x88);
		const vec even_high = _mm512_shuffle_i32x4(four[i + 8], four[i + 12], 0x88);
		const vec odd_low = _mm512_shuffle_i32x4(four[i], four[i + 4], 0xdd);
		const vec odd_high = _mm512_shuffle_i32x4(four[i + 8], four[i + 12], 0xdd);
		w[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
		w[i + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
		w[i + 8] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
		w[i + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
	}
}

#include "sha2-lanes.h"
