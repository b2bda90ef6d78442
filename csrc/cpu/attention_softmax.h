// The softmax of the forward pass, shared by both kinds of products: scores are
// [key][row], so that the sums of a row run down a lane.
#pragma once
#include <cmath>

#include "attention.h"
#include "simd.h"

#define GRAFT_KERNELS "attention_softmax_body.h"
#include "each_isa.h"
#undef GRAFT_KERNELS
