/*
 * The door of the library: which paths this processor can run, and the call into one.
 */

#include <cpuid.h>

#include "block-hash.h"

#define EXPORT __attribute__((visibility("default")))

static block_hash_fn *const functions[BLOCK_HASH_PATHS] = {
	[SHA256_SHANI] = sha256_shani,   [SHA256_AVX512] = sha256_avx512,
	[SHA256_AVX2] = sha256_avx2,     [SHA512_AVX512] = sha512_avx512,
	[SHA512_AVX2] = sha512_avx2,
};

/* Parts of the processor's state that the operating system saves: XCR0, asked by xgetbv. */
static uint64_t saved_state(void)
{
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

/* A bit for each path that can run here: 1 << SHA256_SHANI, ... */
static uint32_t usable;

/*
 * Asks the processor once, at load: in a virtual machine cpuid takes as long as hashing ten blocks.
 * Source: Intel SDM, volume 2, CPUID; volume 1, section 13.3.
 */
__attribute__((constructor)) static void ask_processor(void)
{
	uint32_t a, b, c, d, paths = 0;
	if (!__get_cpuid(1, &a, &b, &c, &d)) return;
	const uint32_t c1 = c;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
	const uint32_t b7 = b;

	const uint64_t state = c1 & bit_OSXSAVE ? saved_state() : 0;
	const uint64_t avx = 0x06, avx512 = 0xe6; /* SSE, AVX; and opmask, upper 256, upper 16 */
	if ((state & avx) == avx && (c1 & bit_AVX) && (b7 & bit_SHA)) paths |= 1u << SHA256_SHANI;
	if ((state & avx) == avx && (b7 & bit_AVX2))
		paths |= 1u << SHA256_AVX2 | 1u << SHA512_AVX2;
	if ((state & avx512) == avx512 && (b7 & bit_AVX512F) && (b7 & bit_AVX512BW))
		paths |= 1u << SHA256_AVX512 | 1u << SHA512_AVX512;
	usable = paths;
}

/* Returns a bit for each path that this processor can run and the operating system lets it. */
EXPORT uint32_t block_hash_paths(void)
{
	return usable;
}

/*
 * Hashes blocks on one path; see block_hash_fn. Returns 0, or -1 and does nothing where there is no
 * such path on this processor.
 */
EXPORT int block_hash(uint32_t path, const uint8_t *blocks, size_t count, size_t block_size,
		      uint8_t *out)
{
	if (path >= BLOCK_HASH_PATHS || !(usable >> path & 1)) return -1;
	functions[path](blocks, count, block_size, out);
	return 0;
}

size_t block_hash_tail(const uint8_t *block, size_t block_size, size_t chunk_size, uint8_t *tail)
{
	const size_t rest = block_size % chunk_size, length_size = chunk_size / 8;
	const size_t chunks = rest + 1 + length_size <= chunk_size ? 1 : 2;
	const size_t end = chunks * chunk_size;

	for (size_t i = 0; i < rest; i++) tail[i] = block[block_size - rest + i];
	for (size_t i = rest; i < end; i++) tail[i] = 0;
	tail[rest] = 0x80;
	const uint64_t bits = (uint64_t)block_size * 8; /* no memory holds 2^61 bytes */
	for (int i = 0; i < 8; i++) tail[end - 1 - i] = (uint8_t)(bits >> (8 * i));
	return chunks;
}
