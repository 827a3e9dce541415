// One transformer layer (Devlin et al. 2018, arXiv:1810.04805): attention, feed-forward, and a norm after each.
//
// A tile of sentences goes through the layer's steps while its rows are in cache. With fewer tiles than threads,
// threads share each step instead: by rows, by groups of heads, by panels of columns. How work is shared changes no
// bit.
#pragma once

#include "attention.h"
#include "byte_attention.h"
#include "norm.h"
#include "product.h"
#include "sentences.h"
#include "team.h"
#include "timing.h"

namespace simcse {
namespace SIMCSE_VARIANT {

// Rows that go through the feed-forward at a time, so that what lies between its products stays in cache.
constexpr int kChunkRows = 64;

template <class Number>
struct AttentionOf {
  using Space = AttentionSpace;
};
template <>
struct AttentionOf<Bytes> {
  using Space = ByteAttentionSpace;
};

// Rows for which sharing a step pays for the handshake of threads, where each row takes a tenth of a microsecond.
constexpr int kShareRows = 16;

// What each thread needs for a group of heads.
template <class Number>
struct GroupSpace {
  float* queries;
  float* keys_values;
  size_t query_stride, key_value_stride;
  typename AttentionOf<Number>::Space attention;

  GroupSpace(Pieces& pieces, const Heads& heads, size_t tokens, size_t longest)
      : query_stride(round_up(heads.group_width(), kPanel)),
        key_value_stride(round_up(2 * heads.group_width(), kPanel)),
        attention((queries = pieces.take<float>(tokens * query_stride),
                   keys_values = pieces.take<float>(tokens * key_value_stride), pieces),
                  longest, heads.padded) {}
};

// `Number` is what rows are multiplied as, and `Late` what the attention's and the feed-forward's results are: the
// same, or single floats where a CLS pooler's last layer of bytes keeps them.
//
// One pass through the layer: a tile's rows, or those of a whole run, and the space for what lies between the steps.
template <class Number, class Late>
struct Pass {
  const Layer& layer;
  const int64_t* lengths;
  int sentences, tokens;
  const float* states;  // [tokens, width]
  float* output;        // [rows, width]
  uint8_t* numbers;     // [tokens] as numbers; then the rows for the feed-forward
  uint8_t* firsts;      // [sentences] of them, where only first tokens have queries
  int* starts;          // [sentences], each one's first token
  uint8_t* context;     // [rows]
  uint8_t* between;     // [rows], the feed-forward's middle

  Pass(const Layer& l, Pieces& pieces, size_t most_tokens, size_t most_sentences) : layer(l) {
    const size_t rows = most_tokens + kSlack;
    numbers = pieces.take<uint8_t>(rows * row_bytes());
    firsts = pieces.take<uint8_t>(l.first_only ? (most_sentences + kSlack) * row_bytes() : 0);
    starts = pieces.take<int>(most_sentences);
    context = pieces.take<uint8_t>(rows * context_bytes());
    between = pieces.take<uint8_t>(rows * between_bytes());
  }

  // Tiles of some variants read so many rows past the last, and use nothing of them.
  static constexpr int kSlack = 16;

  void set(const int64_t* from, int count, int total, const float* in, float* out) {
    lengths = from;
    sentences = count;
    tokens = total;
    states = in;
    output = out;
    for (int s = 0, start = 0; s < count; start += (int)lengths[s++]) starts[s] = start;
  }

  size_t row_bytes() const { return layer.width() * Number::kSize; }
  size_t context_bytes() const { return round_up(layer.heads.width(), kPanel) * Late::kSize; }
  size_t between_bytes() const { return round_up(layer.features, kPanel) * Late::kSize; }

  // Rows of the output.
  int rows() const { return layer.first_only ? sentences : tokens; }

  void round_input(int first, int last) {
    SIMCSE_TIMED(rounding);
    for (int r = first; r < last; r++)
      to_numbers<Number>(states + r * layer.width(), layer.hidden, layer.attention_input, numbers + r * row_bytes());
  }

  void gather_firsts() {
    if (!layer.first_only) return;
    for (int s = 0; s < sentences; s++)
      memcpy(firsts + s * row_bytes(), numbers + starts[s] * row_bytes(), row_bytes());
  }

  void attend_group(int g, int first, int last, const GroupSpace<Number>& space) {
    SIMCSE_TIMED(queries_keys_values);
    const Heads& heads = layer.heads;
    const int token = starts[first], end = last < sentences ? starts[last] : tokens;
    const size_t bytes = row_bytes();
    const Rows all_rows = {numbers + token * bytes, bytes, end - token};
    const Rows queries = layer.first_only ? Rows{firsts + first * bytes, bytes, last - first} : all_rows;
    const Linear &query = layer.query[g], &key_value = layer.key_value[g];
    multiply<Number>(queries, query, 0, query.panel_count(), ToFloats{space.queries, space.query_stride});
    multiply<Number>(all_rows, key_value, 0, key_value.panel_count(),
                     ToFloats{space.keys_values, space.key_value_stride});
    if (g == heads.groups - 1) clear_context_ends(first, last);
    SIMCSE_TIMED(attention);
    for (int s = first; s < last; s++) {
      const int row = layer.first_only ? s - first : starts[s] - token;
      const int out = layer.first_only ? s : starts[s];
      const float* q = space.queries + row * space.query_stride;
      const float* k = space.keys_values + (starts[s] - token) * space.key_value_stride;
      for (int h = 0; h < heads.group && g * heads.group + h < heads.count; h++) {
        const int at = h * heads.padded;
        uint8_t* to = context + out * context_bytes() + (size_t)(g * heads.group_width() + at) * Late::kSize;
        attend<Number, Late>(
            q + at, space.query_stride, layer.first_only ? 1 : (int)lengths[s], k + at, k + heads.group_width() + at,
            space.key_value_stride, (int)lengths[s], heads.padded, layer.alpha,
            layer.bias.head(g * heads.group + h), space.attention, to, context_bytes(), layer.output_step);
      }
    }
  }

  // Products read the places of heads that the last group lacks, and some read whole panels of a row.
  void clear_context_ends(int first, int last) {
    const size_t end = (size_t)layer.heads.count * layer.heads.padded * Late::kSize;
    if (end == context_bytes()) return;
    const int from = layer.first_only ? first : starts[first];
    const int to = layer.first_only ? last : last < sentences ? starts[last] : tokens;
    for (int r = from; r < to; r++) memset(context + r * context_bytes() + end, 0, context_bytes() - end);
  }

  void project(int row, int count, int first, int last) {
    SIMCSE_TIMED(output);
    const size_t width = layer.width();
    const int* from_rows = layer.first_only ? starts + row : nullptr;
    const float* residual = layer.first_only ? states : states + row * width;
    multiply<Late>({context + row * context_bytes(), context_bytes(), count}, layer.output, first, last,
                   ToSum{residual, from_rows, width, output + row * width});
  }

  void norm_attention(int first, int last) {
    SIMCSE_TIMED(norms);
    for (int r = first; r < last; r++) {
      float* x = output + r * layer.width();
      normalize(x, layer.attention_norm);
      to_numbers<Number>(x, layer.hidden, layer.up_input, numbers + r * row_bytes());
    }
  }

  void feed_up(int row, int count, int first, int last) {
    SIMCSE_TIMED(up);
    const Rows rows = {numbers + row * row_bytes(), row_bytes(), count};
    uint8_t* to = between + row * between_bytes();
    if (layer.activation == Activation::gelu)
      multiply<Number>(rows, layer.up, first, last, ToGelu<Late>{to, between_bytes(), layer.down_step});
    else
      multiply<Number>(rows, layer.up, first, last,
                       ToActivated<Late>{layer.activation, to, between_bytes(), layer.down_step});
  }

  void feed_down(int row, int count, int first, int last) {
    SIMCSE_TIMED(down);
    float* to = output + row * layer.width();
    multiply<Late>({between + row * between_bytes(), between_bytes(), count}, layer.down, first, last,
                   ToSum{to, nullptr, layer.width(), to});
  }

  void norm_output(int first, int last) {
    SIMCSE_TIMED(norms);
    for (int r = first; r < last; r++) normalize(output + r * layer.width(), layer.norm);
  }

  // All steps on this thread.
  void alone(const GroupSpace<Number>& space) {
    round_input(0, tokens);
    gather_firsts();
    for (int g = 0; g < layer.heads.groups; g++) attend_group(g, 0, sentences, space);
    for (int row = 0; row < rows(); row += kChunkRows) {
      const int count = rows() - row < kChunkRows ? rows() - row : kChunkRows;
      project(row, count, 0, layer.output.panel_count());
      norm_attention(row, row + count);
      feed_up(row, count, 0, layer.up.panel_count());
      feed_down(row, count, 0, layer.down.panel_count());
      norm_output(row, row + count);
    }
  }

  // Each step by all threads of the team; `spaces` has one for each.
  SIMCSE_SMALL void together(Team& team, const GroupSpace<Number>* spaces) {
    const int threads = team.threads();
    auto by_rows = [&](int count, auto&& work) {
      const int most = (count + kShareRows - 1) / kShareRows, parts = most < threads ? most : threads;
      team.each(parts, [&](int part, int) {
        work((int)((int64_t)count * part / parts), (int)((int64_t)count * (part + 1) / parts));
      });
    };
    auto by_panels = [&](const Linear& linear, auto&& work) {
      const int panels = linear.panel_count(), parts = panels < threads ? panels : threads;
      team.each(parts, [&](int part, int) { work(panels * part / parts, panels * (part + 1) / parts); });
    };
    by_rows(tokens, [&](int first, int last) { round_input(first, last); });
    gather_firsts();
    // Groups of heads; where there are too few for the threads, each for some of the sentences.
    const int groups = layer.heads.groups;
    int shares = groups % threads ? threads : 1;
    if (shares > sentences) shares = sentences;
    team.each(groups * shares, [&](int part, int thread) {
      const int g = part / shares, share = part % shares;
      const int first = (int)((int64_t)sentences * share / shares);
      const int last = (int)((int64_t)sentences * (share + 1) / shares);
      attend_group(g, first, last, spaces[thread]);
    });
    const int count = rows();
    by_panels(layer.output, [&](int first, int last) { project(0, count, first, last); });
    by_rows(count, [&](int first, int last) { norm_attention(first, last); });
    by_panels(layer.up, [&](int first, int last) { feed_up(0, count, first, last); });
    by_panels(layer.down, [&](int first, int last) { feed_down(0, count, first, last); });
    by_rows(count, [&](int first, int last) { norm_output(first, last); });
  }
};

template <class Number, class Late>
SIMCSE_SMALL bool run_layer(const Layer& layer, const Sentences& run, const float* states, float* output, int threads) {
  SIMCSE_TIMED(layer);
  using P = Pass<Number, Late>;
  Team team(threads);
  const int tiles = cut(run, kTileTokens, nullptr);
  // Threads take tiles where these suffice for an even share, and share each step where they do not.
  const bool by_tiles = team.threads() == 1 || tiles >= 4 * team.threads();
  const int workers = by_tiles ? team.threads() : 1;
  const size_t most = by_tiles ? (run.longest > kTileTokens ? run.longest : kTileTokens) : run.tokens;
  const size_t sentences = by_tiles ? kTileTokens : run.count;

  Tile* list = nullptr;
  P* passes = nullptr;
  GroupSpace<Number>* spaces = nullptr;
  auto lay_out = [&](Pieces& pieces) {
    list = pieces.take<Tile>(tiles);
    passes = pieces.take<P>(workers);
    spaces = pieces.take<GroupSpace<Number>>(team.threads());
    for (int w = 0; w < workers; w++) {
      const P pass(layer, pieces, most, sentences);
      if (passes) memcpy((void*)(passes + w), &pass, sizeof pass);
    }
    for (int t = 0; t < team.threads(); t++) {
      const GroupSpace<Number> space(pieces, layer.heads, most, run.longest);
      if (spaces) memcpy((void*)(spaces + t), &space, sizeof space);
    }
  };
  Pieces sizes(nullptr);
  lay_out(sizes);
  Space space(sizes.used());
  if (!space.memory()) return false;
  Pieces pieces(space.memory());
  lay_out(pieces);
  if (!by_tiles) {
    passes[0].set(run.lengths, run.count, run.tokens, states, output);
    passes[0].together(team, spaces);
    return true;
  }
  cut(run, kTileTokens, list);
  const size_t width = layer.width();
  team.each(tiles, [&](int part, int thread) {
    const Tile& tile = list[part];
    const size_t row = layer.first_only ? tile.sentence : tile.token;
    passes[thread].set(run.lengths + tile.sentence, tile.sentences, tile.tokens, states + tile.token * width,
                       output + row * width);
    passes[thread].alone(spaces[thread]);
  });
  return true;
}

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
