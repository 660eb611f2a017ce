// Where the blocks of keys leave their parts of d_q / scale, fp32 [rows, D]: sequence after sequence, in it block after block of BK keys,
// in it the queries from the block's first key on (earlier ones see none of it), their number rounded up to whole strips of 16.
// `row_blocks` is the number of blocks. Host: attention_parts() of src/ops/attention_block.hpp.
uint part_of_block(uint block, uint keys) {
  return block * ((positions + 15) / 16 * 16) - (block > 0 ? keys * (block * (block - 1) / 2) : 0);
}
uint part_of_sequence(uint sequence, uint keys) { return sequence * part_of_block(row_blocks, keys); }
