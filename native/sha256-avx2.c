/*
 * SHA-256 of eight blocks at once, in the 32-bit lanes of 256-bit registers.
 */

#include <immintrin.h>

#include "block-hash.h"

typedef uint32_t word;
typedef __m256i vec;

#define LANES 8
#define ROUNDS 64
#define CHUNK 64
#define TARGET __attribute__((target("avx2")))
#define FUNCTION sha256_avx2
#define initial sha256_initial
#define k sha256_k

#define add _mm256_add_epi32
#define splat(x) _mm256_set1_epi32((int)(x))
#define shift_right _mm256_srli_epi32
#define rotate_right(x, n) _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define xor3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define choose(e, f, g) _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)))
#define majority(a, b, c) \
	_mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)))

#define big_sigma_0(x) xor3(rotate_right(x, 2), rotate_right(x, 13), rotate_right(x, 22))
#define big_sigma_1(x) xor3(rotate_right(x, 6), rotate_right(x, 11), rotate_right(x, 25))
#define small_sigma_0(x) xor3(rotate_right(x, 7), rotate_right(x, 18), shift_right(x, 3))
#define small_sigma_1(x) xor3(rotate_right(x, 17), rotate_right(x, 19), shift_right(x, 10))

/* Twice 8 words of 8 blocks, transposed: by two lanes, by four lanes, then by 128-bit halves. */
static inline __attribute__((always_inline)) TARGET void load_words(const uint8_t *in[8], vec w[16])
{
	const vec big_endian = _mm256_broadcastsi128_si256(
		_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));

#pragma GCC unroll 2
	for (int at = 0; at < 16; at += 8) {
		vec row[8], two[8], four[8];
#pragma GCC unroll 8
		for (int i = 0; i < 8; i++) {
			const vec *from = (const vec *)(in[i] + 4 * at);
			row[i] = _mm256_shuffle_epi8(_mm256_loadu_si256(from), big_endian);
		}
#pragma GCC unroll 4
		for (int i = 0; i < 8; i += 2) {
			two[i] = _mm256_unpacklo_epi32(row[i], row[i + 1]);
			two[i + 1] = _mm256_unpackhi_epi32(row[i], row[i + 1]);
		}
#pragma GCC unroll 2
		for (int i = 0; i < 8; i += 4) {
			four[i] = _mm256_unpacklo_epi64(two[i], two[i + 2]);
			four[i + 1] = _mm256_unpackhi_epi64(two[i], two[i + 2]);
			four[i + 2] = _mm256_unpacklo_epi64(two[i + 1], two[i + 3]);
			four[i + 3] = _mm256_unpackhi_epi64(two[i + 1], two[i + 3]);
		}
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			w[at + i] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x20);
			w[at + i + 4] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x31);
		}
	}
}

#include "sha2-lanes.h"
