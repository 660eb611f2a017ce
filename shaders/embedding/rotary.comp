#version 450
#extension GL_GOOGLE_include_directive : require
// Per head, with (c, s) of the row's position and h = size / 2: y[i] = x[i] c[i] - x[i + h] s[i], y[i + h] = x[i + h] c[i] + x[i] s[i];
// for the positions whose table row is within the bound rows [row_begin, row_end).
#include "grid.glsl"
#include "values.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 0) const bool kWhole = false;      // half a head is a number of vec4s: an invocation takes two of them
layout(constant_id = 1) const bool kPositions = false;  // given, or else n % sequence
layout(constant_id = 2) const bool kInverse = false;    // by the negative angles
READ_VALUES(0, X, x)
layout(set = 0, binding = 1) readonly buffer Angles { vec4 angles[]; };  // a row: cosines, then sines
WRITE_VALUES(2, Y, y)
layout(set = 0, binding = 3) readonly buffer Positions { uint positions[]; };  // of all rows
layout(push_constant) uniform Push { uint rows, first_row, columns, size, sequence, row_begin, row_end; };

float angle(uint base, uint c) { return angles[base + c / 4][c % 4]; }

void main() {
  uint i = linear_group() * 128 + gl_LocalInvocationID.x;
  uint width = row_vec4s(columns, TYPE_OF(0));
  uint work = kWhole ? width / 2 : width;  // invocations a row
  uint row = i / work;
  if (row >= rows) return;
  uint position = kPositions ? positions[first_row + row] : (first_row + row) % sequence;
  if (position < row_begin || position >= row_end) return;
  uint table = (position - row_begin) * row_vec4s(size, kFp32), base = row * width, half_size = size / 2;
  float sign = kInverse ? -1.0 : 1.0;
  if (kWhole) {
    uint h = half_size / 4, pair = i % work, c = pair / h * 2 * h + pair % h;
    vec4 a = x(base + c), b = x(base + c + h);
    vec4 cosine = angles[table + pair % h], sine = sign * angles[table + h + pair % h];
    set_y(base + c, a * cosine - b * sine);
    set_y(base + c + h, b * cosine + a * sine);
    return;
  }
  vec4 v = vec4(0);
  uint first = i % work * 4;
  for (uint k = 0; k < 4 && first + k < columns; ++k) {
    uint c = first + k, at = c % size;
    bool lower = at < half_size;
    uint partner = lower ? c + half_size : c - half_size, of = lower ? at : at - half_size;
    float sine = sign * angle(table, half_size + of) * (lower ? -1.0 : 1.0);
    v[k] = x(base + c / 4)[c % 4] * angle(table, of) + x(base + partner / 4)[partner % 4] * sine;
  }
  set_y(base + first / 4, v);
}
