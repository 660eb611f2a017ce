// Shared by the kernels of cached_attention: what a launch is told (CachedPush of src/ops/cached_attention.cpp), what a row sees, and how
// the rows of this call are read: q and k turned by the angles of their position, k and v as the cache will hold them, so that it does
// not matter whether a key comes from there or from this call.
// Before including this, define `vec4 x_words(uint i)` for q, k, v and angles: elements [4i, 4i + 4); `set_cache(uint i, vec4 x)`; HEAD,
// ROTATED and TYPE_OF(3), the cache's; the buffer `places`; and with ATTENDED `set_attended(uint i, vec4 x)`.
layout(push_constant) uniform Push {
  uint first_row, rows;       // of this launch
  uint run;                   // rows of consecutive positions
  uint slots, slot_begin, slot_end;  // all; those of the bound cache
  uint cache_begin;           // the cache's row that is bound first
  uint capacity, positions;   // rows of a slot; the first position that it cannot hold
  uint window, heads, kv_heads;
  uint q_ld, k_ld, k_column, v_ld, v_column, cache_ld, angles_ld, out_ld;
  uint splits, span;          // workgroups that share a row's keys, each those of `span` positions
  uint groups;                // workgroups that attend; the others write the cache
  float scale;
};
const uint HEAD_VECS = (HEAD + 3) / 4;

const float kLog2E = 1.4426950408889634;
// Finite stand-ins for -infinity, as in attention.glsl.
const float kMasked = -1e30;
const float kNoMaximum = -1e20;
// 2^x, and zero where nobody would notice: products with subnormal weights take some CPUs a hundred times as long.
float weight(float x) { return x > -100 ? exp2(x) : 0; }

struct Row {
  bool live;            // there is a text that goes on here
  bool bound;           // and its slot is among those of this launch
  uint position, begin; // it sees the keys [begin, position]
  uint run_begin;       // those from here on are of this call, in the rows before it
  uint cache_word;      // where its slot begins in what is bound of the cache
  uint turn;            // the position there, when the row sees it: a multiple of capacity
  uint k_word, v_word;  // where k and v of position 0 would be, if the run began there
  uint cache_step, k_step, v_step;  // from position to position: what is told by push constants costs a loop over lanes somewhere
};
Row row_of(uint n) {
  Row row;
  uint slot = places[4 * n];
  row.position = places[4 * n + 1];
  row.live = places[4 * n + 2] != 0 && slot < slots && row.position < positions;
  row.bound = row.live && slot >= slot_begin && slot < slot_end;
  row.begin = row.position >= window ? row.position - window + 1 : 0;
  row.run_begin = row.position - min(row.position, n % run);
  row.cache_word = (slot * capacity - cache_begin) * cache_ld;
  row.turn = row.begin / capacity * capacity;
  row.k_word = (n - row.position) * k_ld + k_column;
  row.v_word = (n - row.position) * v_ld + v_column;
  row.cache_step = cache_ld;
  row.k_step = k_ld;
  row.v_step = v_ld;
  return row;
}
// Where the cache has position j >= row.begin of the text: it has gone around once more at most.
uint cache_word_of(Row row, uint j) {
  uint i = j - row.turn;
  return row.cache_word + (i < capacity ? i : i - capacity) * row.cache_step;
}

// Defines `vec4 name(uint word, uint d)`: elements [4d, 4d + 4) of the head that begins at element `word`, zero past its end.
#define HEAD_PART(name, words)                                                                       \
  vec4 name(uint word, uint d) {                                                                     \
    if (HEAD % 4 == 0) return words(word / 4 + d);                                                   \
    vec4 part = vec4(0);                                                                             \
    [[unroll]] for (uint c = 0; c < 4; ++c)                                                          \
      if (4 * d + c < HEAD) part[c] = words((word + 4 * d + c) / 4)[(word + 4 * d + c) % 4];         \
    return part;                                                                                     \
  }
// The same of a head turned by the angles of a position: row p of `angles` holds cos, then sin of each pair (i, i + HEAD / 2).
#define ROTATED_PART(name, words)                                                                    \
  HEAD_PART(plain_##name, words)                                                                     \
  vec4 name(uint word, uint d, uint position) {                                                      \
    if (!ROTATED) return plain_##name(word, d);                                                      \
    uint angle = position * angles_ld;                                                               \
    if (HEAD % 8 == 0) {                                                                             \
      uint pair = d % (HEAD / 8);                                                                    \
      vec4 own = words(word / 4 + d), other = words(word / 4 + (d < HEAD / 8 ? d + HEAD / 8 : pair));\
      return turned(own, d < HEAD / 8 ? -other : other, angle_words(angle / 4 + pair),               \
                    angle_words(angle / 4 + HEAD / 8 + pair));                                       \
    }                                                                                                \
    vec4 part = vec4(0);                                                                             \
    [[unroll]] for (uint c = 0; c < 4; ++c) {                                                        \
      uint i = 4 * d + c, pair = i % max(HEAD / 2, 1);                                               \
      if (i >= HEAD) continue;                                                                       \
      uint x = word + i, y = word + (i < HEAD / 2 ? i + HEAD / 2 : pair), s = angle + HEAD / 2 + pair;\
      float own = words(x / 4)[x % 4], other = words(y / 4)[y % 4];                                  \
      part[c] = turned(vec4(own), vec4(i < HEAD / 2 ? -other : other),                               \
                       vec4(angle_words((angle + pair) / 4)[(angle + pair) % 4]),                    \
                       vec4(angle_words(s / 4)[s % 4])).x;                                           \
    }                                                                                                \
    return part;                                                                                     \
  }
// Precise, since a key has the same bits wherever it is turned.
vec4 turned(vec4 own, vec4 other, vec4 cosine, vec4 sine) {
  precise vec4 x = own * cosine + other * sine;
  return x;
}
vec4 stored(vec4 x) { return TYPE_OF(3) == kFp32 ? x : unpack_values(pack_values(x, TYPE_OF(3)), TYPE_OF(3)); }

ROTATED_PART(q_turned, q_words)
ROTATED_PART(k_turned, k_words)
HEAD_PART(v_plain, v_words)
vec4 query_part(uint n, uint head, uint d, uint position) {
  return q_turned(n * q_ld + head * HEAD, d, position) * (scale * kLog2E);
}
// Position j's key and value, of this call.
vec4 key_part(Row row, uint head, uint d, uint j) {
  return stored(k_turned(row.k_word + j * row.k_step + head * HEAD, d, j));
}
vec4 value_part(Row row, uint head, uint d, uint j) {
  return stored(v_plain(row.v_word + j * row.v_step + head * HEAD, d));
}

// Elements [4i, 4i + 4) of what the cache is to hold of a row, with heads of an odd size: keys, then values, then padding.
vec4 cache_words(Row row, uint k_from, uint v_from, uint i) {
  vec4 x = vec4(0);
  for (uint c = 0; c < 4; ++c) {
    uint column = 4 * i + c, head = column / HEAD, e = column % HEAD;
    if (head < kv_heads) x[c] = k_turned(k_from + head * HEAD, e / 4, row.position)[e % 4];
    else if (head < 2 * kv_heads) x[c] = v_plain(v_from + (head - kv_heads) * HEAD, e / 4)[e % 4];
  }
  return x;
}

// Writes row n of this call to the cache, a vec4 an invocation of `count`: what the workgroups behind those that attend do.
void store_row(uint n, uint lane, uint count) {
  Row row = row_of(n);
  if (!row.bound) return;
  uint p = row.position, to = cache_word_of(row, p) / 4, end = row.cache_step / 4, keys = kv_heads * HEAD_VECS;
  uint k_from = row.k_word + p * row.k_step, v_from = row.v_word + p * row.v_step;
  if (HEAD % 4 != 0) {
    for (uint i = lane; i < end; i += count) set_cache(to + i, cache_words(row, k_from, v_from, i));
    return;
  }
  for (uint i = lane; i < keys; i += count)
    set_cache(to + i, k_turned(k_from + i / HEAD_VECS * HEAD, i % HEAD_VECS, p));
  for (uint i = lane; i < keys; i += count)
    set_cache(to + keys + i, v_plain(v_from + i / HEAD_VECS * HEAD, i % HEAD_VECS));
  for (uint i = 2 * keys + lane; i < end; i += count) set_cache(to + i, vec4(0));
}

#ifdef ATTENDED
// Four columns of a head of a size that is a multiple of 4.
void write_row(uint n, uint head, uint d, vec4 x) {
  uint at = n * out_ld / 4, end = heads * HEAD_VECS;
  set_attended(at + head * HEAD_VECS + d, x);
  if (head == heads - 1 && d == 0 && 4 * end < out_ld) set_attended(at + end, vec4(0));  // the padding of 16-bit rows
}
#endif
