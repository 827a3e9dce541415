// Which variants this CPU can run, and which one sessions get.
#pragma once

#include "variant.h"

namespace simcse {

// The variant that sessions opened from now on use; null if this CPU can run none.
const Variant* selected_variant();

// The variant of this name; null if there is none, or this CPU cannot run it.
const Variant* variant_named(const char* name);

}  // namespace simcse
