#include <algorithm>
#include <limits>

#include "compress/additive_target.hpp"
#include "compress/candidates.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kSearchColumns = 128;  // of which R Sigma is kept up to date
constexpr std::int64_t kSearchRows = 32;

/// What all rows of a sweep read: Sigma in the order of the sweep, and what each codeword costs in each group.
struct SearchPlan {
  const SearchOrder& order;
  AdditiveFormat format;
  std::vector<float> moments;     // [columns, columns], rows and columns in the order of the sweep
  std::vector<Candidates> books;  // [M]
  std::vector<float> penalties;   // c_k^T Sigma[j, j] c_k [groups in order, M, padded]

  SearchPlan(const AdditiveTarget& target, const Codebooks& codebooks, const SearchOrder& visits, const Work& work)
      : order(visits), format(codebooks.format), moments(target.moments.size()) {
    for (int m = 0; m < format.codebooks; ++m) books.emplace_back(codebooks.book(m), format.group);
    penalties.resize(static_cast<std::size_t>(target.groups * format.codebooks * books[0].padded()));
    for_each_block(work, Part::none(), target.groups, 1, [&](std::int64_t place, std::int64_t) {
      arrange(target, place);
      for (int m = 0; m < format.codebooks; ++m) weigh(target, place, m);
    });
  }

  float* costs(std::int64_t place, int m) {
    return penalties.data() + (place * format.codebooks + m) * books[0].padded();
  }
  const float* costs(std::int64_t place, int m) const {
    return penalties.data() + (place * format.codebooks + m) * books[0].padded();
  }

 private:
  void arrange(const AdditiveTarget& target, std::int64_t place) {
    const std::int64_t g = format.group, from = order.groups[static_cast<std::size_t>(place)] * g;
    for (std::int64_t d = 0; d < g; ++d)
      for (std::int64_t p = 0; p < target.groups; ++p)
        std::copy_n(target.moments.data() + (from + d) * target.columns + order.groups[static_cast<std::size_t>(p)] * g,
                    g, moments.data() + (place * g + d) * target.columns + p * g);
  }
  void weigh(const AdditiveTarget& target, std::int64_t place, int m) {
    const std::int64_t g = format.group, count = books[0].count();
    const float* const own = moments.data() + place * g * (target.columns + 1);
    float* const out = costs(place, m);
    std::fill_n(out, books[0].padded(), std::numeric_limits<float>::infinity());
    for (std::int64_t k = 0; k < count; ++k) {
      const float* const word = books[static_cast<std::size_t>(m)].entry(k);
      float sum = 0;
      for (std::int64_t d = 0; d < g; ++d) {
        float turned = 0;
        for (std::int64_t e = 0; e < g; ++e) turned += own[d * target.columns + e] * word[e];
        sum += turned * word[d];
      }
      out[k] = sum;
    }
  }
};

/// A way of encoding a row, one code further than its parent.
struct Child {
  double loss = 0;
  int parent = 0;
  std::int64_t code = 0;
};

/// Some rows of a sweep. What there is for each way of encoding lies way by way, row by row within.
class RowSearch {
 public:
  RowSearch(const SearchPlan& plan, AdditiveTarget& target, const Codebooks& codebooks, std::int64_t first,
            std::int64_t rows, int beam)
      : plan_(plan),
        target_(target),
        books_(plan.format.codebooks),
        g_(plan.format.group),
        first_(first),
        rows_(rows),
        beam_(beam),
        width_(std::max<std::int64_t>(1, kSearchColumns / g_) * g_) {
    const std::int64_t all = beam_ * rows_;
    residuals_.resize(static_cast<std::size_t>(all * target.columns));
    gradients_.resize(static_cast<std::size_t>(all * width_));
    codes_.resize(static_cast<std::size_t>(all * target.groups * books_));
    losses_.assign(static_cast<std::size_t>(all), 0);
    ranked_.assign(static_cast<std::size_t>(all), 0);
    scores_.resize(static_cast<std::size_t>(plan.books[0].padded()));
    shifted_.resize(static_cast<std::size_t>(g_));
    std::vector<float> plain(static_cast<std::size_t>(rows * target.columns));
    residual(target, codebooks, first, rows, plain.data());
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t p = 0; p < target.groups; ++p) {
        const std::int64_t group = plan.order.groups[static_cast<std::size_t>(p)];
        std::copy_n(plain.data() + r * target.columns + group * g_, g_, residual_of(r) + p * g_);
        std::copy_n(target.codes.data() + ((first + r) * target.groups + group) * books_, books_,
                    codes_of(r) + p * books_);
      }
  }

  void run() {
    for (std::int64_t begin = 0; begin < target_.columns; begin += width_) {
      const std::int64_t width = std::min(width_, target_.columns - begin);
      const View<const float> moments{plan_.moments.data(), target_.columns, target_.columns, target_.columns};
      multiply(View<const float>{residuals_.data(), ways_ * rows_, target_.columns, target_.columns},
               moments.part(0, begin, target_.columns, width),
               View<float>{gradients_.data(), ways_ * rows_, width, width_});
      for (std::int64_t place = begin / g_; place < (begin + width) / g_; ++place)
        for (int step = 0; step < books_; ++step)
          visit(begin, width, place, plan_.order.books[static_cast<std::size_t>(place * books_ + step)]);
    }
    for (std::int64_t r = 0; r < rows_; ++r) keep_best(r);
  }

 private:
  float* residual_of(std::int64_t at) { return residuals_.data() + at * target_.columns; }
  float* gradient_of(std::int64_t at) { return gradients_.data() + at * width_; }
  std::uint16_t* codes_of(std::int64_t at) { return codes_.data() + at * target_.groups * books_; }

  void visit(std::int64_t begin, std::int64_t width, std::int64_t place, int m) {
    const auto wanted = static_cast<int>(std::min<std::int64_t>(beam_, ways_ * plan_.books[0].count()));
    for (std::int64_t r = 0; r < rows_; ++r) {
      children_.clear();
      int* const ranked = ranked_.data() + r * beam_;
      for (int rank = 0; rank < ways_; ++rank) find_children(ranked[rank], r, begin, place, m, wanted);
      adopt(r);
      std::copy(slots_.begin(), slots_.end(), ranked);
      for (std::size_t c = 0; c < children_.size(); ++c)
        replace(slots_[c] * rows_ + r, r, begin, width, place, m, children_[c]);
    }
    ways_ = wanted;
  }

  // Puts the best children of a way among those of the ways before.
  void find_children(int way, std::int64_t r, std::int64_t begin, std::int64_t place, int m, int wanted) {
    const std::int64_t at = way * rows_ + r;
    const Candidates& book = plan_.books[static_cast<std::size_t>(m)];
    const float* const costs = plan_.costs(place, m);
    const float scale = target_.scales[static_cast<std::size_t>(first_ + r)];
    const std::int64_t old = codes_of(at)[place * books_ + m];
    const float* const word = book.entry(old);
    const float* const gradient = gradient_of(at) + place * g_ - begin;
    const float* const own = plan_.moments.data() + place * g_ * (target_.columns + 1);
    double inner = 0;
    for (std::int64_t d = 0; d < g_; ++d) {
      float turned = 0;
      for (std::int64_t e = 0; e < g_; ++e) turned += own[d * target_.columns + e] * word[e];
      shifted_[static_cast<std::size_t>(d)] = gradient[d] + scale * turned;
      inner += double{gradient[d]} * word[d];
    }
    const double without =
        losses_[static_cast<std::size_t>(at)] + 2.0 * scale * inner + double{scale} * scale * costs[old];
    if (wanted == 1) {
      const Candidates::Best best = book.best(shifted_.data(), costs, scale / 2);
      children_.push_back({without - 2.0 * scale * best.score, way, best.at});
      return;
    }
    book.scores(shifted_.data(), costs, scale / 2, scores_.data());
    const auto all = static_cast<std::size_t>(wanted);
    for (std::int64_t k = 0; k < book.count(); ++k) {
      const double loss = without - 2.0 * scale * scores_[static_cast<std::size_t>(k)];
      if (children_.size() == all && loss >= children_.back().loss) continue;
      if (children_.size() == all) children_.pop_back();
      auto to = children_.end();
      while (to != children_.begin() && (to - 1)->loss > loss) --to;
      children_.insert(to, {loss, way, k});
    }
  }

  // A slot for every child: its parent's where it is the first one there, else one whose way has ended.
  void adopt(std::int64_t r) {
    slots_.assign(children_.size(), -1);
    std::vector<char>& taken = taken_;
    taken.assign(static_cast<std::size_t>(beam_), 0);
    for (std::size_t c = 0; c < children_.size(); ++c) {
      char& own = taken[static_cast<std::size_t>(children_[c].parent)];
      if (own == 0) slots_[c] = children_[c].parent;
      own = 1;
    }
    int free = 0;
    for (std::size_t c = 0; c < children_.size(); ++c) {
      if (slots_[c] >= 0) continue;
      while (taken[static_cast<std::size_t>(free)] != 0) ++free;
      taken[static_cast<std::size_t>(free)] = 1;
      slots_[c] = free;
      const std::int64_t from = children_[c].parent * rows_ + r, to = free * rows_ + r;
      std::copy_n(residual_of(from), target_.columns, residual_of(to));
      std::copy_n(gradient_of(from), width_, gradient_of(to));
      std::copy_n(codes_of(from), target_.groups * books_, codes_of(to));
    }
  }

  void replace(std::int64_t at, std::int64_t r, std::int64_t begin, std::int64_t width, std::int64_t place, int m,
               const Child& child) {
    losses_[static_cast<std::size_t>(at)] = child.loss;
    std::uint16_t& code = codes_of(at)[place * books_ + m];
    if (code == child.code) return;
    const Candidates& book = plan_.books[static_cast<std::size_t>(m)];
    const float scale = target_.scales[static_cast<std::size_t>(first_ + r)];
    float* const row = residual_of(at) + place * g_;
    float* const gradient = gradient_of(at);
    for (std::int64_t d = 0; d < g_; ++d) {
      const float change = scale * (book.entry(code)[d] - book.entry(child.code)[d]);
      row[d] += change;
      const float* const moments = plan_.moments.data() + (place * g_ + d) * target_.columns + begin;
      for (std::int64_t c = place * g_ - begin; c < width; ++c) gradient[c] += change * moments[c];
    }
    code = static_cast<std::uint16_t>(child.code);
  }

  void keep_best(std::int64_t r) {
    const std::int64_t best = ranked_[static_cast<std::size_t>(r * beam_)];
    for (std::int64_t p = 0; p < target_.groups; ++p) {
      const std::int64_t group = plan_.order.groups[static_cast<std::size_t>(p)];
      std::copy_n(codes_of(best * rows_ + r) + p * books_, books_,
                  target_.codes.data() + ((first_ + r) * target_.groups + group) * books_);
    }
  }

  const SearchPlan& plan_;
  AdditiveTarget& target_;
  int books_;
  std::int64_t g_, first_, rows_;
  int beam_, ways_ = 1;
  std::int64_t width_;
  std::vector<float> residuals_;      // [beam, rows, columns] in the order of the sweep
  std::vector<float> gradients_;      // (R Sigma) of the columns at hand [beam, rows, width_]
  std::vector<std::uint16_t> codes_;  // [beam, rows, groups in order, M]
  std::vector<double> losses_;        // beside that at the start [beam, rows]
  std::vector<int> ranked_;           // ways, the best first [rows, beam]
  std::vector<float> scores_, shifted_;
  std::vector<Child> children_;
  std::vector<int> slots_;
  std::vector<char> taken_;
};

}  // namespace

void search_codes(AdditiveTarget& target, const Codebooks& codebooks, const SearchOrder& order, int beam,
                  const Work& work, const Part& part) {
  const SearchPlan plan(target, codebooks, order, work);
  for_each_block(work, part, target.outputs, kSearchRows,
                 [&](std::int64_t first, std::int64_t n) { RowSearch(plan, target, codebooks, first, n, beam).run(); });
}

}  // namespace fabula::compress
