#version 450
#extension GL_GOOGLE_include_directive : require
// Decides, before adamw runs, what a step may do. A step whose loss or gradients are not finite changes nothing: clip becomes
// {0, norm, scale, 1}. Nor does one behind it, where limits.y says that it follows: halted keeps the outcome.
// With a scaled loss (gradients are loss_scale.x times as large) clip also takes the scale back out, and a step that is not finite
// only costs half of the scale, clip = {0, 0, scale, 2}, until there is none left; limits.z good steps in a row double it.
// One invocation.
#include "numbers.glsl"
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Clip { vec4 clip; };           // in: gradient scale, norm, 0, non-finite
layout(set = 0, binding = 1) readonly buffer Loss { vec4 loss; };
layout(set = 0, binding = 2) readonly buffer Bounds { vec4 limits; };
layout(set = 0, binding = 3) buffer Halted { vec4 halted; };
layout(set = 0, binding = 4) buffer LossScale { vec4 loss_scale; };  // scale, good steps since it changed; only where `scaled`
layout(push_constant) uniform Push { uint scaled; };
const float kMostScale = 16777216.0;

void main() {
  bool bad = clip.w != 0.0 || not_finite(loss.x), stopped = limits.y != 0.0 && halted.x != 0.0;
  float scale = scaled != 0 ? loss_scale.x : 1.0;
  bool skipped = bad && !stopped && scale > 1.0;
  halted = vec4(stopped || (bad && !skipped) ? 1.0 : 0.0, 0, 0, 0);
  if (scaled != 0 && !stopped) {
    float good = bad ? 0.0 : loss_scale.y + 1.0;
    bool grows = limits.z > 0.0 && good >= limits.z;
    loss_scale = vec4(bad ? max(scale / 2.0, 1.0) : grows ? min(scale * 2.0, kMostScale) : scale, grows ? 0.0 : good, 0, 0);
  }
  float norm = clip.y / scale;
  if (stopped || (bad && !skipped)) clip = vec4(0, norm, scale, 1);
  else if (skipped) clip = vec4(0, 0, scale, 2);
  else if (scaled == 0) clip = vec4(clip.xy, 1, 0);
  else clip = vec4((limits.x > 0.0 ? min(1.0, limits.x / (norm + 1e-6)) : 1.0) / scale, norm, scale, 0);
}
