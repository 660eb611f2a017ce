#version 450
#extension GL_GOOGLE_include_directive : require
// label_logit[r] = logits[r, labels[r]] where the label is among the columns of this call
#include "grid.glsl"
#include "numbers.glsl"
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer Logits { float logits[]; };   // [rows, columns] of this call
layout(set = 0, binding = 1) readonly buffer Labels { uint labels[]; };    // [1, positions]
layout(set = 0, binding = 2) buffer LabelLogit { float label_logit[]; };   // rows of this chunk
layout(push_constant) uniform Push {
  uint rows;          // of this call
  uint first_row;     // the position of row 0
  uint first_column;  // the token of column 0
  uint columns;       // of this call
};

void main() {
  uint row = linear_group() * 64 + gl_LocalInvocationID.x;
  if (row >= rows) return;
  uint label = labels[first_row + row], stride = (columns + 3) / 4 * 4;
  bool here = label >= first_column && label - first_column < columns;
  if (here) label_logit[row] = logits[row * stride + (label - first_column)];
  else if (first_column == 0) label_logit[row] = 0.0;
}
