/*
 * Hashes many independent blocks of one size: SHA-256 and SHA-512, several blocks at a time.
 *
 * Each hot loop is a "path": it has a file of its own and needs certain instructions. block-hash.c
 * knows which paths the processor can run; the caller picks one.
 *
 * The library needs no other library, not even the C library: the same file loads with glibc and musl.
 *
 * Source of the functions: FIPS 180-4. Source of the instructions: Intel's intrinsics guide.
 */

#ifndef BLOCK_HASH_H
#define BLOCK_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The numbers are known to the caller: never reuse one. */
enum block_hash_path {
	SHA256_SHANI = 0,  /* SHA instructions, four blocks interleaved */
	SHA256_AVX512 = 1, /* 16 blocks in the lanes of 512-bit registers */
	SHA256_AVX2 = 2,   /* 8 blocks in the lanes of 256-bit registers */
	SHA512_AVX512 = 3, /* 8 blocks in the lanes of 512-bit registers */
	SHA512_AVX2 = 4,   /* 4 blocks in the lanes of 256-bit registers */
	BLOCK_HASH_PATHS = 5,
};

/*
 * Hashes `count` blocks of `block_size` bytes that lie one after the other, and writes their digests
 * one after the other to `out`, which does not overlap the blocks. Any size, count and alignment.
 */
typedef void block_hash_fn(const uint8_t *blocks, size_t count, size_t block_size, uint8_t *out);

block_hash_fn sha256_shani;
block_hash_fn sha256_avx512;
block_hash_fn sha256_avx2;
block_hash_fn sha512_avx512;
block_hash_fn sha512_avx2;

extern const uint32_t sha256_initial[8], sha256_k[64];
extern const uint64_t sha512_initial[8], sha512_k[80];

/*
 * The end of a message as SHA-2 wants it: what is left after the last whole chunk, one bit, zeros,
 * and the message's length in bits. Writes one or two chunks to `tail` and returns how many.
 * `chunk_size` is 64 (SHA-256, 8 bytes of length) or 128 (SHA-512, 16 bytes).
 */
size_t block_hash_tail(const uint8_t *block, size_t block_size, size_t chunk_size, uint8_t *tail);

/* The largest tail: two chunks of SHA-512. */
#define BLOCK_HASH_TAIL_MAX 256

#endif
