// 1 for the columns of a row's vec4 number `column4` that exist, 0 for padding.
vec4 column_mask(uint column4, uint columns) {
  return vec4(lessThan(uvec4(0, 1, 2, 3) + 4 * column4, uvec4(columns)));
}
