// `v`, the vec4 number `column4` of a row of `columns`, with its padding set to zero.
vec4 within_columns(vec4 v, uint column4, uint columns) {
  return mix(vec4(0), v, lessThan(uvec4(0, 1, 2, 3) + 4 * column4, uvec4(columns)));
}
