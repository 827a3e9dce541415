// How a layer's heads lie: padded to whole vectors of lanes, and joined in groups that fill a panel.
#pragma once

#include "packing.h"

namespace simcse {
namespace SIMCSE_VARIANT {

struct Heads {
  int count;   // of the layer
  int size;    // features of one
  int padded;  // the same in whole vectors
  int group;   // heads whose products run together
  int groups;

  Heads(int heads, int hidden) : count(heads), size(hidden / heads) {
    padded = (int)round_up(size, kLanes);
    group = padded < kPanel ? kPanel / padded : 1;
    groups = (count + group - 1) / group;
  }

  int group_width() const { return group * padded; }  // features of a group, padding included
  int width() const { return groups * group_width(); }

  // The feature that lies at place `at` of the padded ones; -1 for padding.
  int feature(int at) const {
    const int head = at / padded, within = at % padded;
    return head < count && within < size ? head * size + within : -1;
  }
};

}  // namespace SIMCSE_VARIANT
}  // namespace simcse
