/* SPDX-License-Identifier: Apache-2.0 */
/* emodel.c - see emodel.h */
#include <math.h>
#include "mcu/media/emodel.h"

#define R_BEST   93.2
#define KNEE_MS  177.3

/* Equipment impairment and robustness against loss: G.711 with concealment from G.113 appendix I; G.722 and Opus are set
 * to our ear: their concealment is no worse, and Opus repairs single losses. */
static const struct { double ie, bpl, lookahead_ms; } codecs[] = {
	[MCODEC_PCMU] = { 0, 25.1, 0 },
	[MCODEC_PCMA] = { 0, 25.1, 0 },
	[MCODEC_G722] = { 0, 25.1, 1.5 },
	[MCODEC_OPUS] = { 0, 32.0, 6.5 },
};

static double within(double v, double low, double high)
{
	return v > low ? v < high ? v : high : low;          /* what is no number becomes low */
}

/* Little below 177 ms, then steeply worse: the usual linear form of the model's delay term. */
static double delay_impairment(double ms)
{
	return 0.024 * ms + (ms > KNEE_MS ? 0.11 * (ms - KNEE_MS) : 0);
}

static double loss_impairment(const struct emodel_path *p)
{
	double ie = codecs[p->codec].ie, loss = within(p->loss, 0, 100), burst = within(p->burst_ratio, 1, 100);

	return ie + (95 - ie) * loss / (loss / burst + codecs[p->codec].bpl);
}

double emodel_r(const struct emodel_path *p)
{
	double r = R_BEST - delay_impairment(within(p->delay_ms, 0, 10000)) - loss_impairment(p);

	return within(r, 0, R_BEST);
}

double emodel_mos(double r)
{
	double mos;

	if (!(r > 0))
		return 1;
	if (r >= 100)
		return 4.5;
	mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
	return within(mos, 1, 4.5);                          /* the polynomial dips below 1 near R 3 */
}

double emodel_codec_ms(enum mcodec codec, unsigned ptime_ms)
{
	return ptime_ms + codecs[codec].lookahead_ms;
}

double emodel_burst_ratio(uint64_t expected, uint64_t lost, uint64_t runs)
{
	if (!runs || lost < runs || expected <= lost)
		return 1;
	return within((double)lost / (double)runs * (1 - (double)lost / (double)expected), 1, 100);
}
