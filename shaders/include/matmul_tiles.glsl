// Which tile of y a workgroup of BM x BN computes, over which piece of K. Neighbouring workgroups go down kBand tile rows before
// they go on to the next tile column, so that what runs at the same time shares rows of a and columns of b in the cache.
const uint kBand = 8;
struct Tile { uint row, col, split; };  // first row and column of y; the piece of K

// False for a workgroup that has nothing to do.
bool find_tile(out Tile tile) {
  uint down = (rows + BM - 1) / BM, across = (cols + BN - 1) / BN;
  uint id = linear_group();
  tile.split = id / (down * across);
  id -= tile.split * down * across;
  uint band = id / (kBand * across);
  uint height = min(down - band * kBand, kBand);
  id -= band * kBand * across;
  tile.row = (band * kBand + id % height) * BM;
  tile.col = id / height * BN;
  return tile.split < splits;
}
