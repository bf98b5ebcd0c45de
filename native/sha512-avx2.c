/*
 * SHA-512 of four blocks at once, in the 64-bit lanes of 256-bit registers.
 */

#include <immintrin.h>

#include "block-hash.h"

typedef uint64_t word;
typedef __m256i vec;

#define LANES 4
#define ROUNDS 80
#define CHUNK 128
#define TARGET __attribute__((target("avx2")))
#define FUNCTION sha512_avx2
#define initial sha512_initial
#define k sha512_k

#define add _mm256_add_epi64
#define splat(x) _mm256_set1_epi64x((long long)(x))
#define shift_right _mm256_srli_epi64
#define rotate_right(x, n) _mm256_or_si256(_mm256_srli_epi64(x, n), _mm256_slli_epi64(x, 64 - (n)))
#define xor3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define choose(e, f, g) _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)))
#define majority(a, b, c) \
	_mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)))

#define big_sigma_0(x) xor3(rotate_right(x, 28), rotate_right(x, 34), rotate_right(x, 39))
#define big_sigma_1(x) xor3(rotate_right(x, 14), rotate_right(x, 18), rotate_right(x, 41))
#define small_sigma_0(x) xor3(rotate_right(x, 1), rotate_right(x, 8), shift_right(x, 7))
#define small_sigma_1(x) xor3(rotate_right(x, 19), rotate_right(x, 61), shift_right(x, 6))

/* Four times 4 words of 4 blocks, transposed: by pairs of lanes, then by 128-bit halves. */
static inline __attribute__((always_inline)) TARGET void load_words(const uint8_t *in[4], vec w[16])
{
	const vec big_endian = _mm256_broadcastsi128_si256(
		_mm_set_epi64x(0x08090a0b0c0d0e0f, 0x0001020304050607));

#pragma GCC unroll 4
	for (int at = 0; at < 16; at += 4) {
		vec row[4];
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			const vec *from = (const vec *)(in[i] + 8 * at);
			row[i] = _mm256_shuffle_epi8(_mm256_loadu_si256(from), big_endian);
		}
		const vec even01 = _mm256_unpacklo_epi64(row[0], row[1]);
		const vec even23 = _mm256_unpacklo_epi64(row[2], row[3]);
		const vec odd01 = _mm256_unpackhi_epi64(row[0], row[1]);
		const vec odd23 = _mm256_unpackhi_epi64(row[2], row[3]);
		w[at] = _mm256_permute2x128_si256(even01, even23, 0x20);
		w[at + 1] = _mm256_permute2x128_si256(odd01, odd23, 0x20);
		w[at + 2] = _mm256_permute2x128_si256(even01, even23, 0x31);
		w[at + 3] = _mm256_permute2x128_si256(odd01, odd23, 0x31);
	}
}

#include "sha2-lanes.h"
