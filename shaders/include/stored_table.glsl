// Rows of a table as models store one (weights.glsl). Needs values.glsl, weights.glsl and columns.glsl.
layout(constant_id = 0) const uint kScaled = 0;
READ_WEIGHTS(4, Table, table)
READ_VALUES(5, Scales, scales)
// Elements [4 c, 4 c + 4) of a row of so many columns.
vec4 table_row(uint row, uint columns, uint c) {
  vec4 v = table(row * weight_vec4s(columns, TYPE_OF(4)) + c);
  if (kScaled == kNoScales) return v;
  v = with_scale(kScaled, v, c, scales(scale_vec4(kScaled, row, columns, c, TYPE_OF(5))));
  return TYPE_OF(4) == kU4 ? within_columns(v, c, columns) : v;
}
