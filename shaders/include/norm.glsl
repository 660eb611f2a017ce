// What the backward kernels of layer_norm and, with RMS defined, of rms_norm read and sum: the latter has no mean and no bias.
#ifdef RMS
#define MEAN_RSTD(stats) vec2(0, (stats).x)  // stats [N, 1] = rstd
#define MEAN_G(mean_g_gh) 0.0
#define NORM_SUMS 1                          // rows of sums a chunk: d_weight
#else
#define MEAN_RSTD(stats) (stats).xy          // stats [N, 2] = {mean, rstd}
#define MEAN_G(mean_g_gh) (mean_g_gh).x
#define NORM_SUMS 2                          // d_weight, d_bias
#endif
