/* Weights of every type as 16 numbers at a time: what matmul and embed share in Metal.
 *
 * struct w_TYPE names a type: `elems` and `bytes` of its block, `minimum` whether m may differ from 0, `tail` whether
 * rows may end inside a chunk (then w_one gives single elements), and unpack(row, c, out), which decodes elements
 * 16c..16c+15 of a row: element i is d * q[i] + m. q, d and m are exact in float, but MXFP4's two smallest
 * scales are subnormal: a GPU may flush them to 0.
 * Rows lie at even addresses, those of MXFP4 anywhere; so bytes are read as packed vectors of 2-byte elements (of
 * bytes for MXFP4), F32 rows at multiples of 4. Two chunks that share bytes (a byte's nibbles are 16 or 32 elements apart) are
 * decoded by neighbouring lanes, whose loads meet in the cache: memory is read once. */
#pragma once
#include "gguf/blocks.h"

struct chunk {
    float4 q[4];
    float d, m;
};

/* 16 bytes as pairs: byte 2i is the low half of pair i. */
struct bytes16 {
    ushort4 v[2];
};

static METAL_FUNC bytes16 load16(device const uchar *p) {
    device const packed_ushort4 *v = (device const packed_ushort4 *)p;
    bytes16 r;
    r.v[0] = ushort4(v[0]);
    r.v[1] = ushort4(v[1]);
    return r;
}

static METAL_FUNC float f16(ushort bits) { return float(as_type<half>(bits)); }

/* q = the field of each byte that starts at bit `shift` and has the bits of mask, less zero. Fields of odd bytes stay eight
 * bits up and are scaled in float, which is exact and saves a shift. */
static METAL_FUNC void set_fields(thread chunk &o, bytes16 b, ushort shift, ushort mask, float zero) {
    for (ushort i = 0; i < 2; i++) {
        const ushort4 u = b.v[i] >> ushort4(shift);
        const float4 even = float4(u & ushort4(mask)) - zero;
        const float4 odd = fma(float4(u & ushort4(mask << 8)), float4(0x1p-8f), float4(-zero));
        o.q[2 * i] = float4(even.x, odd.x, even.y, odd.y);
        o.q[2 * i + 1] = float4(even.z, odd.z, even.w, odd.w);
    }
}

/* q += scale * field */
static METAL_FUNC void add_fields(thread chunk &o, bytes16 b, ushort shift, ushort mask, float scale) {
    for (ushort i = 0; i < 2; i++) {
        const ushort4 u = b.v[i] >> ushort4(shift);
        const float4 even = float4(u & ushort4(mask)) * scale;
        const float4 odd = float4(u & ushort4(mask << 8)) * (scale * 0x1p-8f);
        o.q[2 * i] += float4(even.x, odd.x, even.y, odd.y);
        o.q[2 * i + 1] += float4(even.z, odd.z, even.w, odd.w);
    }
}

/* q += 16 times bit i of h */
static METAL_FUNC void add_fifth(thread chunk &o, ushort h) {
    const ushort4 bit = ushort4(1, 2, 4, 8);
    for (ushort i = 0; i < 4; i++, h >>= 4) o.q[i] += float4(ushort4(h) & bit) * float4(16, 8, 4, 2);
}

/* q = codes[nibble] */
static METAL_FUNC void set_codes(thread chunk &o, bytes16 b, ushort shift, constant float *codes) {
    for (ushort i = 0; i < 2; i++) {
        const ushort4 u = b.v[i] >> ushort4(shift);
        const ushort4 even = u & ushort4(15), odd = u >> ushort4(8) & ushort4(15);
        o.q[2 * i] = float4(codes[even.x], codes[odd.x], codes[even.y], codes[odd.y]);
        o.q[2 * i + 1] = float4(codes[even.z], codes[odd.z], codes[even.w], codes[odd.w]);
    }
}

/* The 6-bit scale and minimum of group g of Q4_K and Q5_K. */
static METAL_FUNC uchar2 k_scale(device const uchar *s, ushort g) {
    if (g < 4) return uchar2(s[g] & 63, s[g + 4] & 63);
    return uchar2((s[g + 4] & 15) | (s[g - 4] >> 6 << 4), (s[g + 4] >> 4) | (s[g] >> 6 << 4));
}

constant float iq4_codes[16] = IQ4_CODES;
constant float mxfp4_codes[16] = MXFP4_CODES;

struct w_F32 {
    enum { elems = 1, bytes = 4, minimum = 0, tail = 1 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const packed_float4 *p = (device const packed_float4 *)row + 4 * c;
        for (ushort i = 0; i < 4; i++) o.q[i] = float4(p[i]);
        o.d = 1;
        o.m = 0;
    }
};

struct w_F16 {
    enum { elems = 1, bytes = 2, minimum = 0, tail = 1 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const packed_half4 *p = (device const packed_half4 *)row + 4 * c;
        for (ushort i = 0; i < 4; i++) o.q[i] = float4(half4(p[i]));
        o.d = 1;
        o.m = 0;
    }
};

struct w_BF16 {
    enum { elems = 1, bytes = 2, minimum = 0, tail = 1 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const packed_ushort4 *p = (device const packed_ushort4 *)row + 4 * c;
        for (ushort i = 0; i < 4; i++) o.q[i] = as_type<float4>(uint4(ushort4(p[i])) << uint4(16));
        o.d = 1;
        o.m = 0;
    }
};

struct w_Q4_0 {
    enum { elems = QK, bytes = sizeof(block_q4_0), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q4_0 *b = (device const block_q4_0 *)row + c / 2;
        set_fields(o, load16(b->qs), c % 2 * 4, 15, 8);
        o.d = f16(b->d);
        o.m = 0;
    }
};

struct w_Q4_1 {
    enum { elems = QK, bytes = sizeof(block_q4_1), minimum = 1, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q4_1 *b = (device const block_q4_1 *)row + c / 2;
        set_fields(o, load16(b->qs), c % 2 * 4, 15, 0);
        o.d = f16(b->d);
        o.m = f16(b->m);
    }
};

struct w_Q5_0 {
    enum { elems = QK, bytes = sizeof(block_q5_0), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q5_0 *b = (device const block_q5_0 *)row + c / 2;
        set_fields(o, load16(b->qs), c % 2 * 4, 15, 16);
        add_fifth(o, ((device const ushort *)b->qh)[c % 2]);
        o.d = f16(b->d);
        o.m = 0;
    }
};

struct w_Q5_1 {
    enum { elems = QK, bytes = sizeof(block_q5_1), minimum = 1, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q5_1 *b = (device const block_q5_1 *)row + c / 2;
        set_fields(o, load16(b->qs), c % 2 * 4, 15, 0);
        add_fifth(o, ((device const ushort *)b->qh)[c % 2]);
        o.d = f16(b->d);
        o.m = f16(b->m);
    }
};

struct w_Q8_0 {
    enum { elems = QK, bytes = sizeof(block_q8_0), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q8_0 *b = (device const block_q8_0 *)row + c / 2;
        const bytes16 v = load16((device const uchar *)b->qs + c % 2 * 16);
        o.q[0] = float4(as_type<char4>(v.v[0].xy));
        o.q[1] = float4(as_type<char4>(v.v[0].zw));
        o.q[2] = float4(as_type<char4>(v.v[1].xy));
        o.q[3] = float4(as_type<char4>(v.v[1].zw));
        o.d = f16(b->d);
        o.m = 0;
    }
};

struct w_Q2_K {
    enum { elems = QK_K, bytes = sizeof(block_q2_K), minimum = 1, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q2_K *b = (device const block_q2_K *)row + c / 16;
        const ushort g = c % 16;
        set_fields(o, load16(b->qs + g / 8 * 32 + g % 2 * 16), g % 8 / 2 * 2, 3, 0);
        const uchar s = b->scales[g];
        o.d = f16(b->d) * float(s & 15);
        o.m = -f16(b->dmin) * float(s >> 4);
    }
};

struct w_Q3_K {
    enum { elems = QK_K, bytes = sizeof(block_q3_K), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q3_K *b = (device const block_q3_K *)row + c / 16;
        const ushort g = c % 16;
        set_fields(o, load16(b->qs + g / 8 * 32 + g % 2 * 16), g % 8 / 2 * 2, 3, 4);
        add_fields(o, load16(b->hmask + g % 2 * 16), g / 2, 1, 4);
        const int low = b->scales[g % 8] >> g / 8 * 4 & 15, high = b->scales[8 + g % 4] >> g / 4 * 2 & 3;
        o.d = f16(b->d) * float((low | high << 4) - 32);
        o.m = 0;
    }
};

struct w_Q4_K {
    enum { elems = QK_K, bytes = sizeof(block_q4_K), minimum = 1, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q4_K *b = (device const block_q4_K *)row + c / 16;
        const ushort g = c % 16 / 2;
        set_fields(o, load16(b->qs + g / 2 * 32 + c % 2 * 16), g % 2 * 4, 15, 0);
        const uchar2 s = k_scale(b->scales, g);
        o.d = f16(b->d) * float(s.x);
        o.m = -f16(b->dmin) * float(s.y);
    }
};

struct w_Q5_K {
    enum { elems = QK_K, bytes = sizeof(block_q5_K), minimum = 1, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q5_K *b = (device const block_q5_K *)row + c / 16;
        const ushort g = c % 16 / 2;
        set_fields(o, load16(b->qs + g / 2 * 32 + c % 2 * 16), g % 2 * 4, 15, 0);
        add_fields(o, load16(b->qh + c % 2 * 16), g, 1, 16);
        const uchar2 s = k_scale(b->scales, g);
        o.d = f16(b->d) * float(s.x);
        o.m = -f16(b->dmin) * float(s.y);
    }
};

struct w_Q6_K {
    enum { elems = QK_K, bytes = sizeof(block_q6_K), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_q6_K *b = (device const block_q6_K *)row + c / 16;
        const ushort g = c % 16, s = g % 8 / 2;
        set_fields(o, load16(b->ql + g / 8 * 64 + s % 2 * 32 + g % 2 * 16), s / 2 * 4, 15, 32);
        add_fields(o, load16(b->qh + g / 8 * 32 + g % 2 * 16), s * 2, 3, 16);
        o.d = f16(b->d) * float(b->scales[g]);
        o.m = 0;
    }
};

struct w_IQ4_NL {
    enum { elems = QK, bytes = sizeof(block_iq4_nl), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_iq4_nl *b = (device const block_iq4_nl *)row + c / 2;
        set_codes(o, load16(b->qs), c % 2 * 4, iq4_codes);
        o.d = f16(b->d);
        o.m = 0;
    }
};

struct w_IQ4_XS {
    enum { elems = QK_K, bytes = sizeof(block_iq4_xs), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_iq4_xs *b = (device const block_iq4_xs *)row + c / 16;
        const ushort g = c % 16 / 2;
        set_codes(o, load16(b->qs + g * 16), c % 2 * 4, iq4_codes);
        const int low = b->scales_l[g / 2] >> g % 2 * 4 & 15, high = b->scales_h >> g * 2 & 3;
        o.d = f16(b->d) * float((low | high << 4) - 32);
        o.m = 0;
    }
};

struct w_MXFP4 {
    enum { elems = QK, bytes = sizeof(block_mxfp4), minimum = 0, tail = 0 };
    static METAL_FUNC void unpack(device const uchar *row, uint c, thread chunk &o) {
        device const block_mxfp4 *b = (device const block_mxfp4 *)row + c / 2;
        device const packed_uchar4 *v = (device const packed_uchar4 *)b->qs; /* a block has an odd size */
        bytes16 q;
        for (ushort i = 0; i < 2; i++) {
            q.v[i].xy = as_type<ushort2>(uchar4(v[2 * i]));
            q.v[i].zw = as_type<ushort2>(uchar4(v[2 * i + 1]));
        }
        set_codes(o, q, c % 2 * 4, mxfp4_codes);
        const uint e = b->e;
        o.d = as_type<float>(e < 2 ? 0x200000u << e : (e - 1) << 23);
        o.m = 0;
    }
};

/* Element i of a row, for types with a tail. */
template <typename W> static METAL_FUNC float w_one(device const uchar *, uint) { return 0; }
template <> METAL_FUNC float w_one<w_F32>(device const uchar *row, uint i) { return ((device const float *)row)[i]; }
template <> METAL_FUNC float w_one<w_F16>(device const uchar *row, uint i) { return float(((device const half *)row)[i]); }
template <> METAL_FUNC float w_one<w_BF16>(device const uchar *row, uint i) {
    return as_type<float>(uint(((device const ushort *)row)[i]) << 16);
}

/* X(TYPE) for all of them. */
#define W_FLOAT(X) X(F32) X(F16) X(BF16)
#define W_SMALL(X) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(IQ4_NL) X(MXFP4)
#define W_SUPER(X) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K) X(IQ4_XS)

/* Row `r` of a matrix whose rows have n elements. */
template <typename W> static METAL_FUNC device const uchar *w_row(device const uchar *w, uint r, uint n) {
    return w + (ulong)r * (n / W::elems * W::bytes);
}
