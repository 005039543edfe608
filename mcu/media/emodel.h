/* SPDX-License-Identifier: Apache-2.0 */
/* emodel.h - what loss and delay make of a conversation: the E-model (ITU-T G.107), reduced to what an RTP end knows
 *
 *   R = 93.2 - Id(delay) - Ie,eff(codec, loss)         MOS from R by G.107 annex B
 *
 * 93.2 is R with every other input of the model at its default. R and MOS are on the narrow-band scale, so that legs of
 * different codecs compare; a wide-band codec without loss gets what G.711 gets, 4.41. Pure.
 */
#ifndef MEDIA_EMODEL_H
#define MEDIA_EMODEL_H
#include "mcu/media/media.h"

struct emodel_path {
	enum mcodec codec;
	double      loss;        /* percent of packets that are not heard, 0..100 */
	double      burst_ratio; /* mean length of a run of lost packets, against that of random loss; 1: random */
	double      delay_ms;    /* one way, mouth to ear */
};
double emodel_r(const struct emodel_path *p);            /* 0..93.2 */
double emodel_mos(double r);                             /* 1..4.5 */
/* What encoder and decoder add to a packet's way besides the jitter buffer: its length and the codec's look-ahead */
double emodel_codec_ms(enum mcodec codec, unsigned ptime_ms);
/* From counts: `lost` packets of `expected` in `runs`. 1 where there is too little to tell. */
double emodel_burst_ratio(uint64_t expected, uint64_t lost, uint64_t runs);

#endif
