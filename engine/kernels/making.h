// Layers, embeddings and poolers from a graph's constants: checked, packed, their scales folded.
#pragma once

#include "layer.h"
#include "source.h"

namespace simcse {

// The tables stay where the graph has them.
struct Embeddings {
  EmbeddingsSource source;
  int hidden;
  Norm norm;
};

// Null if there is no memory or the constants do not fit each other; `reason` then says why.
Layer* make_layer(const LayerSource& source, const char** reason);
Embeddings* make_embeddings(const EmbeddingsSource& source, const char** reason);
Pooling* make_pooling(const PoolingSource& source, const char** reason);

void release(Layer* layer);
void release(Embeddings* embeddings);
void release(Pooling* pooling);

}  // namespace simcse
