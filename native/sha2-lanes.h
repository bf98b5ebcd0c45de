/*
 * SHA-2 on many blocks at once, one in each lane of the vector registers: what the four files that
 * include this have in common. The two functions of SHA-2 differ in the width of a word, the number
 * of rounds and the rotations only; the processors in how wide a register is.
 *
 * The file that includes it defines first:
 *   word, vec                  an unsigned integer of 32 or 64 bits; a register of LANES of them
 *   LANES, ROUNDS, CHUNK       blocks at once; 64 or 80; bytes of 16 words
 *   TARGET                     the attribute that lets the compiler use the instructions
 *   initial, k                 the constants
 *   add, splat, xor3, choose, majority, shift_right (x, n), rotate_right (x, n)
 *   big_sigma_0, big_sigma_1, small_sigma_0, small_sigma_1
 *   load_words                 reads one chunk of each block and turns it into 16 vecs, one of the
 *                              first words, one of the second words and so on
 *   FUNCTION                   the name of the function that comes out
 *
 * Source: FIPS 180-4, sections 4.1, 6.2.2 and 6.4.2; the names are from there.
 */

/* One round. The eight letters stay where they are in `v`; what turns is which one is which. */
#define LETTER(v, index, round) (v)[((index) + 16 - (round)) & 7]

static inline __attribute__((always_inline)) TARGET void one_round(vec v[8], int i, vec w, vec ki)
{
	const vec e = LETTER(v, 4, i), f = LETTER(v, 5, i), g = LETTER(v, 6, i);
	const vec a = LETTER(v, 0, i), b = LETTER(v, 1, i), c = LETTER(v, 2, i);
	const vec t1 = add(add(add(LETTER(v, 7, i), add(w, ki)), choose(e, f, g)), big_sigma_1(e));
	LETTER(v, 3, i) = add(LETTER(v, 3, i), t1);
	LETTER(v, 7, i) = add(add(t1, majority(a, b, c)), big_sigma_0(a));
}

/* Runs `chunks` chunks of each block; `in` advances past them. */
static TARGET void compress(vec state[8], const uint8_t *in[LANES], size_t chunks)
{
	vec v[8], w[16];

	for (; chunks > 0; chunks--) {
		load_words(in, w);
		for (int lane = 0; lane < LANES; lane++) in[lane] += CHUNK;
		for (int i = 0; i < 8; i++) v[i] = state[i];
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) one_round(v, i, w[i], splat(k[i]));
		for (int done = 16; done < ROUNDS; done += 16) {
#pragma GCC unroll 16
			for (int i = 0; i < 16; i++) {
				const vec s0 = small_sigma_0(w[(i + 1) & 15]);
				const vec s1 = small_sigma_1(w[(i + 14) & 15]);
				w[i] = add(add(w[i], w[(i + 9) & 15]), add(s0, s1));
				one_round(v, i, w[i], splat(k[done + i]));
			}
		}
		for (int i = 0; i < 8; i++) state[i] = add(state[i], v[i]);
	}
}

/* Hashes up to LANES blocks. Lanes without a block of their own repeat the last one. */
static TARGET void hash(const uint8_t *blocks, size_t count, size_t block_size, uint8_t *out)
{
	uint8_t tails[LANES][BLOCK_HASH_TAIL_MAX];
	const uint8_t *in[LANES], *tail[LANES];
	word words[8][LANES] __attribute__((aligned(sizeof(vec))));
	size_t tail_chunks = 0;
	vec state[8];

	for (size_t lane = 0; lane < LANES; lane++) {
		in[lane] = blocks + (lane < count ? lane : count - 1) * block_size;
		tail[lane] = tails[lane];
		tail_chunks = block_hash_tail(in[lane], block_size, CHUNK, tails[lane]);
	}
	for (int i = 0; i < 8; i++) state[i] = splat(initial[i]);
	compress(state, in, block_size / CHUNK);
	compress(state, tail, tail_chunks);

	for (int i = 0; i < 8; i++) *(vec *)words[i] = state[i];
	for (size_t lane = 0; lane < count && lane < LANES; lane++)
		for (int i = 0; i < 8; i++)
			for (int shift = 8 * (int)sizeof(word) - 8; shift >= 0; shift -= 8)
				*out++ = (uint8_t)(words[i][lane] >> shift);
}

TARGET void FUNCTION(const uint8_t *blocks, size_t count, size_t block_size, uint8_t *out)
{
	for (size_t done = 0; done < count; done += LANES)
		hash(blocks + done * block_size, count - done, block_size,
		     out + done * 8 * sizeof(word));
}
