#pragma once
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// llama2.c's tokenizer.bin by its definition, apart from what src/text makes of it.
namespace fabula::test {

struct ScoredPiece {
  std::string text;
  float score;
};

/// <unk>, <s>, </s> and the 256 bytes, then these.
inline std::vector<ScoredPiece> with_bytes(const std::vector<ScoredPiece>& pieces) {
  std::vector<ScoredPiece> all = {{"<unk>", 0}, {"\n<s>\n", 0}, {"\n</s>\n", 0}};
  for (int byte = 0; byte < 256; ++byte) {
    const char* const digits = "0123456789ABCDEF";
    all.push_back({std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", 0});
  }
  all.insert(all.end(), pieces.begin(), pieces.end());
  return all;
}

template <class T>
void append_raw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

inline std::string llama2c_file(const std::vector<ScoredPiece>& all) {
  int32_t longest = 0;
  for (const ScoredPiece& piece : all) longest = std::max(longest, static_cast<int32_t>(piece.text.size()));
  std::string file;
  append_raw(file, longest);
  for (const ScoredPiece& piece : all) {
    append_raw(file, piece.score);
    append_raw(file, static_cast<int32_t>(piece.text.size()));
    file += piece.text;
  }
  return file;
}

inline std::vector<ScoredPiece> pieces_of_file(std::string_view file) {
  std::vector<ScoredPiece> all;
  for (size_t at = 4; at < file.size();) {
    ScoredPiece piece;
    int32_t length;
    std::memcpy(&piece.score, file.data() + at, 4);
    std::memcpy(&length, file.data() + at + 4, 4);
    piece.text = file.substr(at + 8, static_cast<size_t>(length));
    all.push_back(piece);
    at += 8 + static_cast<size_t>(length);
  }
  return all;
}

/// Encoding as llama2.c defines it: of all neighbours the best-scoring pair is merged, the leftmost among equals, until
/// there is none. Only pieces behind the bytes are looked up.
class PlainScores {
 public:
  explicit PlainScores(const std::vector<ScoredPiece>& all) : all_(all) {
    for (uint32_t id = 259; id < all.size(); ++id) ids_[all[id].text] = id;
  }

  std::vector<uint32_t> encode(std::string_view text) const {
    std::vector<uint32_t> ids;
    if (!text.empty()) start(" ", ids);
    for (size_t i = 0; i < text.size();) {
      size_t length = 1;
      while (length < 4 && i + length < text.size() && (text[i + length] & 0xC0) == 0x80) ++length;
      start(std::string(text.substr(i, length)), ids);
      i += length;
    }
    while (merge_best(ids)) {
    }
    return ids;
  }

 private:
  void start(const std::string& unit, std::vector<uint32_t>& ids) const {
    if (const auto id = ids_.find(unit); id != ids_.end()) return ids.push_back(id->second);
    for (const char byte : unit) ids.push_back(3u + static_cast<unsigned char>(byte));
  }

  bool merge_best(std::vector<uint32_t>& ids) const {
    float best_score = -1e10f;
    size_t best = ids.size();
    uint32_t result = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      if (ids[i] < 259 || ids[i + 1] < 259) continue;
      const auto id = ids_.find(all_[ids[i]].text + all_[ids[i + 1]].text);
      if (id == ids_.end() || all_[id->second].score <= best_score) continue;
      best_score = all_[id->second].score;
      best = i;
      result = id->second;
    }
    if (best == ids.size()) return false;
    ids[best] = result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
    return true;
  }

  std::vector<ScoredPiece> all_;
  std::map<std::string, uint32_t> ids_;
};

/// A small vocabulary of words that tie, overlap and cross spaces.
inline std::vector<ScoredPiece> small_pieces() {
  return with_bytes({{"he", -1},
                     {" t", -0.5f},
                     {" the", -2},
                     {"the", -7},
                     {"th", -3},
                     {" ", -20},
                     {"t", -21},
                     {"h", -22},
                     {"e", -23},
                     {"\xc3\xa9", -24},
                     {"ee", -4},
                     {"eee", -4},
                     {"  ", -6},
                     {"e t", -5}});
}

}  // namespace fabula::test
