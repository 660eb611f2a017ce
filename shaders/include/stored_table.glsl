// Rows of a table as models store one: floats, or signed bytes with a scale for each 32 of a row. Needs values.glsl and weights.glsl.
layout(constant_id = 0) const uint kScaled = 0;
READ_WEIGHTS(4, Table, table)
READ_VALUES(5, Scales, scales)
// Elements [4 c, 4 c + 4) of a row of so many columns.
vec4 table_row(uint row, uint columns, uint c) {
  vec4 v = table(row * weight_vec4s(columns, TYPE_OF(4)) + c);
  if (kScaled != 0) v *= scales(row * row_vec4s((columns + 31) / 32, TYPE_OF(5)) + c / 32)[c / 8 % 4];
  return v;
}
