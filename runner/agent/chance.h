// SPDX-License-Identifier: MIT
/*
 * chance.h - random numbers and Poisson sampling over bytes, without libm.
 */
#ifndef PG_AGENT_CHANCE_H
#define PG_AGENT_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Next state and value: splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t chance_next(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

/* Uniform in (0, 1]. */
static inline double chance_unit(uint64_t *state)
{
        return (double)((chance_next(state) >> 11) + 1) * 0x1p-53;
}

/* exp(-x) for x >= 0, relative error below 1e-8: by squaring a short series. */
static inline double chance_exp_minus(double x)
{
        if (x > 40)
                return 0;
        const double y = x / 1024; // at most 0.04
        double e = 1 - y * (1 - y / 2 * (1 - y / 3 * (1 - y / 4 * (1 - y / 5))));
        for (int i = 0; i < 10; i++)
                e *= e;
        return e;
}

/* 1 - exp(-x) for x >= 0, without losing small x. */
static inline double chance_hit(double x)
{
        return x < 1e-3 ? x * (1 - x / 2 * (1 - x / 3)) : 1 - chance_exp_minus(x);
}

/* -ln(u) for u in (0, 1], relative error below 1e-7: exponent, and a series of atanh for the rest. */
static inline double chance_minus_log(double u)
{
        int halvings = 0;
        while (u < 0.0009765625) {
                u *= 1024;
                halvings += 10;
        }
        while (u < 0.70710678118654752) {
                u *= 2;
                halvings++;
        }
        const double z = (u - 1) / (u + 1), q = z * z;
        return halvings * 0.69314718055994531 -
               2 * z * (1 + q * (1. / 3 + q * (1. / 5 + q * (1. / 7 + q * (1. / 9 + q / 11)))));
}

/* Points lie in the stream of bytes at distances from an exponential distribution; until_bytes is what is left to the
 * next one. */
static inline int64_t chance_distance(double mean_bytes, uint64_t *state)
{
        return (int64_t)(mean_bytes * chance_minus_log(chance_unit(state)));
}

/* The next so many bytes: whether a point lies among them. It does with probability chance_hit(bytes / mean_bytes),
 * whatever came before; weighted by the inverse, sums over those that are hit are unbiased. */
static inline bool chance_passes(int64_t *until_bytes, uint64_t bytes, double mean_bytes, uint64_t *state)
{
        *until_bytes -= (int64_t)bytes;
        if (*until_bytes >= 0)
                return false;
        *until_bytes = chance_distance(mean_bytes, state);
        return true;
}

#endif
