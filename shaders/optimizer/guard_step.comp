#version 450
#extension GL_GOOGLE_include_directive : require
// clip becomes {0, norm, 0, 1}, so that adamw changes nothing, when the loss is not finite, or when a step before this one was halted
// and limits.y says that this one follows it. halted keeps the outcome for the next step. One invocation.
#include "numbers.glsl"
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Clip { vec4 clip; };
layout(set = 0, binding = 1) readonly buffer Loss { vec4 loss; };
layout(set = 0, binding = 2) readonly buffer Bounds { vec4 limits; };
layout(set = 0, binding = 3) buffer Halted { vec4 halted; };

void main() {
  bool bad = clip.w != 0.0 || not_finite(loss.x) || (limits.y != 0.0 && halted.x != 0.0);
  if (bad) clip = vec4(0, clip.y, 0, 1);
  halted = vec4(bad ? 1.0 : 0.0, 0, 0, 0);
}
