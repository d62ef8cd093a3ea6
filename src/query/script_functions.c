/* The functions that score scripts may call: vectors, saturation, sigmoid, chance, decays. */
#include "query/scripting.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

/* ---- what function_score uses, too --------------------------------------------------------- */

void vz_decay_init(struct vz_decay *decay, enum vz_decay_shape shape, double scale, double offset,
                   double at_scale)
{
    decay->shape = shape;
    decay->offset = offset;
    switch (shape) {
    case VZ_DECAY_LINEAR:
        decay->scale = scale / (1 - at_scale);
        break;
    case VZ_DECAY_EXP:
        decay->scale = log(at_scale) / scale;
        break;
    case VZ_DECAY_GAUSS:
        decay->scale = 0.5 * scale * scale / log(at_scale);
        break;
    }
}

double vz_decay_at(const struct vz_decay *decay, double distance)
{
    double d = VZ_MAX(0.0, distance - decay->offset);
    switch (decay->shape) {
    case VZ_DECAY_LINEAR:
        return VZ_MAX(0.0, (decay->scale - d) / decay->scale);
    case VZ_DECAY_EXP:
        return exp(decay->scale * d);
    case VZ_DECAY_GAUSS:
        break;
    }
    return exp(0.5 * d * d / decay->scale);
}

bool vz_query_duration(struct vz_slice text, double *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"nanos", 1e-6}, {"micros", 1e-3}, {"ms", 1},      {"s", 1e3},
                 {"m", 60e3},     {"h", 3600e3},    {"d", 86400e3}, {"", 1}};
    char copy[40], *end;
    if (text.len == 0 || text.len >= sizeof copy || isspace((unsigned char)text.ptr[0]))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double number = strtod(copy, &end);
    if (end == copy || !isfinite(number) || number < 0)
        return false;
    for (size_t i = 0; i < VZ_COUNT_OF(units); i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        *ms = number * units[i].ms;
        return units[i].unit[0] || number == 0;
    }
    return false;
}

double vz_query_random(uint64_t seed, uint64_t what)
{
    uint64_t z = (seed * 0x9E3779B97F4A7C15ull) ^ (what + 0x632BE59BD9B4E019ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    return (double)(z >> 40) / (double)(1u << 24);
}

/* ---- arguments ----------------------------------------------------------------------------- */

static enum vz_status refuse(struct vz_error *err, const char *text)
{
    vz_fail(err, VZ_BAD_ARGUMENT, "%s", text);
    vz_fail_cause(err, "illegal_argument_exception");
    return VZ_BAD_ARGUMENT;
}

static enum vz_status number(const struct vz_value *value, double *out, struct vz_error *err)
{
    if (value && value->type == VZ_VALUE_INT)
        *out = (double)value->integer;
    else if (value && value->type == VZ_VALUE_DOUBLE)
        *out = value->number;
    else
        return refuse(err, "a number was expected");
    return VZ_OK;
}

/* ---- vectors ------------------------------------------------------------------------------- */

#define VECTOR(name, measure)                                                                      \
    static enum vz_status name(void *context, const struct vz_value *const *constant,              \
                               size_t count, void **prepared, struct vz_error *err)                \
    {                                                                                              \
        (void)count;                                                                               \
        return vz_vector_prepare(context, measure, constant, prepared, err);                       \
    }
VECTOR(prepare_cosine, VZ_MEASURE_COSINE)
VECTOR(prepare_dot, VZ_MEASURE_DOT)
VECTOR(prepare_l1, VZ_MEASURE_L1)
VECTOR(prepare_l2, VZ_MEASURE_L2)
VECTOR(prepare_hamming, VZ_MEASURE_HAMMING)

static enum vz_status measure(void *context, void *prepared, const struct vz_value *const *args,
                              size_t count, double *out, struct vz_error *err)
{
    (void)args;
    (void)count;
    return vz_vector_measure(context, prepared, out, err);
}

/* ---- curves -------------------------------------------------------------------------------- */

static enum vz_status saturation(void *context, void *prepared, const struct vz_value *const *args,
                                 size_t count, double *out, struct vz_error *err)
{
    double value, k;
    (void)context;
    (void)prepared;
    (void)count;
    if (number(args[0], &value, err) != VZ_OK || number(args[1], &k, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    *out = value / (k + value);
    return VZ_OK;
}

static enum vz_status sigmoid(void *context, void *prepared, const struct vz_value *const *args,
                              size_t count, double *out, struct vz_error *err)
{
    double value, k, a;
    (void)context;
    (void)prepared;
    (void)count;
    if (number(args[0], &value, err) != VZ_OK || number(args[1], &k, err) != VZ_OK ||
        number(args[2], &a, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    *out = pow(value, a) / (pow(k, a) + pow(value, a));
    return VZ_OK;
}

/* randomScore(seed) by document; randomScore(seed, 'field') by the field's first value. */
static enum vz_status random_score(void *context, void *prepared,
                                   const struct vz_value *const *args, size_t count, double *out,
                                   struct vz_error *err)
{
    struct vz_doc_script *script = context;
    uint64_t what = script->docno;
    double seed;
    (void)prepared;
    if (number(args[0], &seed, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    if (count > 1) {
        struct vz_script_field field = {.kind = VZ_SCRIPT_ABSENT};
        if (args[1]->type != VZ_VALUE_STRING)
            return refuse(err, "randomScore wants the name of a field");
        script->run.field(script, args[1]->string, &field);
        if (field.kind == VZ_SCRIPT_ABSENT || field.count == 0)
            return refuse(err, "randomScore: the document has no value for the field");
        if (field.kind == VZ_SCRIPT_STRINGS)
            what = 0;
        for (size_t i = 0; field.kind == VZ_SCRIPT_STRINGS && i < field.strings[0].len; i++)
            what = what * 31 + (unsigned char)field.strings[0].ptr[i];
        if (field.kind != VZ_SCRIPT_STRINGS && field.kind != VZ_SCRIPT_VECTOR)
            memcpy(&what, field.ints, sizeof what);
    }
    *out = vz_query_random((uint64_t)(int64_t)seed, what);
    return VZ_OK;
}

/* ---- decays -------------------------------------------------------------------------------- */

struct prepared_decay {
    struct vz_decay decay;
    double origin, lat, lon;
};

static struct prepared_decay *new_decay(void *context)
{
    struct vz_doc_script *script = context;
    return vz_arena_zalloc(&script->program, sizeof(struct prepared_decay));
}

static enum vz_status constants_only(const struct vz_value *const *constant, size_t count,
                                     struct vz_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!constant[i])
            return vz_fail(err, VZ_UNSUPPORTED,
                           "vizsla wants the origin, scale, offset and decay of a decay function "
                           "as constants or params");
    return VZ_OK;
}

static enum vz_status finish_decay(struct prepared_decay *made, enum vz_decay_shape shape,
                                   double scale, double offset, const struct vz_value *at_scale,
                                   void **prepared, struct vz_error *err)
{
    double decay;
    if (number(at_scale, &decay, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    if (!(scale > 0) || !(decay > 0 && decay < 1) || !(offset >= 0))
        return refuse(err, "scale must be > 0, offset >= 0, decay between 0 and 1");
    vz_decay_init(&made->decay, shape, scale, offset, decay);
    *prepared = made;
    return VZ_OK;
}

static enum vz_status prepare_numeric(void *context, enum vz_decay_shape shape,
                                      const struct vz_value *const *constant, void **prepared,
                                      struct vz_error *err)
{
    double scale, offset;
    enum vz_status status = constants_only(constant, 4, err);
    if (status != VZ_OK)
        return status;
    struct prepared_decay *made = new_decay(context);
    if (number(constant[0], &made->origin, err) != VZ_OK ||
        number(constant[1], &scale, err) != VZ_OK || number(constant[2], &offset, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    return finish_decay(made, shape, scale, offset, constant[3], prepared, err);
}

static enum vz_status prepare_date(void *context, enum vz_decay_shape shape,
                                   const struct vz_value *const *constant, void **prepared,
                                   struct vz_error *err)
{
    const struct vz_doc_script *script = context;
    double scale, offset;
    int64_t origin;
    enum vz_status status = constants_only(constant, 4, err);
    if (status != VZ_OK)
        return status;
    for (int i = 0; i < 3; i++)
        if (constant[i]->type != VZ_VALUE_STRING)
            return refuse(err, "origin, scale and offset of a date's decay are strings");
    struct prepared_decay *made = new_decay(context);
    if (vz_date_parse((struct vz_slice){0}, constant[0]->string, true, false, script->eval->now_ms,
                      &origin, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    if (!vz_query_duration(constant[1]->string, &scale) ||
        !vz_query_duration(constant[2]->string, &offset))
        return refuse(err, "failed to parse scale or offset as a time value");
    made->origin = (double)origin;
    return finish_decay(made, shape, scale, offset, constant[3], prepared, err);
}

static enum vz_status prepare_geo(void *context, enum vz_decay_shape shape,
                                  const struct vz_value *const *constant, void **prepared,
                                  struct vz_error *err)
{
    double scale, offset;
    char text[80], *end;
    enum vz_status status = constants_only(constant, 4, err);
    if (status != VZ_OK)
        return status;
    for (int i = 0; i < 3; i++)
        if (constant[i]->type != VZ_VALUE_STRING)
            return refuse(err, "origin, scale and offset of a place's decay are strings");
    struct prepared_decay *made = new_decay(context);
    struct vz_slice origin = constant[0]->string;
    size_t len = VZ_MIN(origin.len, sizeof text - 1);
    memcpy(text, origin.ptr, len);
    text[len] = '\0';
    made->lat = strtod(text, &end);
    while (*end == ' ' || *end == ',')
        end++;
    char *second = end;
    made->lon = strtod(second, &end);
    if (end == second || *end)
        return refuse(err, "failed to parse the origin as [lat, lon]");
    if (!vz_query_distance(constant[1]->string, &scale) ||
        !vz_query_distance(constant[2]->string, &offset))
        return refuse(err, "failed to parse scale or offset as a distance");
    return finish_decay(made, shape, scale, offset, constant[3], prepared, err);
}

#define DECAY(name, of, shape)                                                                     \
    static enum vz_status name(void *context, const struct vz_value *const *constant,              \
                               size_t count, void **prepared, struct vz_error *err)                \
    {                                                                                              \
        (void)count;                                                                               \
        return of(context, shape, constant, prepared, err);                                        \
    }
DECAY(numeric_linear, prepare_numeric, VZ_DECAY_LINEAR)
DECAY(numeric_exp, prepare_numeric, VZ_DECAY_EXP)
DECAY(numeric_gauss, prepare_numeric, VZ_DECAY_GAUSS)
DECAY(date_linear, prepare_date, VZ_DECAY_LINEAR)
DECAY(date_exp, prepare_date, VZ_DECAY_EXP)
DECAY(date_gauss, prepare_date, VZ_DECAY_GAUSS)
DECAY(geo_linear, prepare_geo, VZ_DECAY_LINEAR)
DECAY(geo_exp, prepare_geo, VZ_DECAY_EXP)
DECAY(geo_gauss, prepare_geo, VZ_DECAY_GAUSS)

static enum vz_status decay_numeric(void *context, void *prepared,
                                    const struct vz_value *const *args, size_t count, double *out,
                                    struct vz_error *err)
{
    const struct prepared_decay *made = prepared;
    double value;
    (void)context;
    (void)count;
    if (number(args[4], &value, err) != VZ_OK)
        return VZ_BAD_ARGUMENT;
    *out = vz_decay_at(&made->decay, fabs(value - made->origin));
    return VZ_OK;
}

/* A date comes as the text that it prints as. */
static enum vz_status decay_date(void *context, void *prepared, const struct vz_value *const *args,
                                 size_t count, double *out, struct vz_error *err)
{
    const struct prepared_decay *made = prepared;
    int64_t ms;
    (void)context;
    (void)count;
    if (args[4]->type != VZ_VALUE_STRING ||
        vz_date_parse((struct vz_slice){0}, args[4]->string, false, false, 0, &ms, NULL) != VZ_OK)
        return refuse(err, "a date was expected");
    *out = vz_decay_at(&made->decay, fabs((double)ms - made->origin));
    return VZ_OK;
}

static enum vz_status decay_geo(void *context, void *prepared, const struct vz_value *const *args,
                                size_t count, double *out, struct vz_error *err)
{
    const struct prepared_decay *made = prepared;
    double lat, lon;
    (void)context;
    (void)count;
    if (number(vz_value_get(args[4], VZ_SLICE("lat")), &lat, NULL) != VZ_OK ||
        number(vz_value_get(args[4], VZ_SLICE("lon")), &lon, NULL) != VZ_OK)
        return refuse(err, "a place was expected");
    *out = vz_decay_at(&made->decay, vz_query_haversine(made->lat, made->lon, lat, lon));
    return VZ_OK;
}

/* The vectors' are the first. */
#define VECTOR_FUNCTIONS 5
const struct vz_script_function vz_score_functions[] = {
    {"cosineSimilarity", 2, 2, prepare_cosine, measure},
    {"dotProduct", 2, 2, prepare_dot, measure},
    {"l1norm", 2, 2, prepare_l1, measure},
    {"l2norm", 2, 2, prepare_l2, measure},
    {"hamming", 2, 2, prepare_hamming, measure},
    {"saturation", 2, 2, NULL, saturation},
    {"sigmoid", 3, 3, NULL, sigmoid},
    {"randomScore", 1, 2, NULL, random_score},
    {"decayNumericLinear", 5, 5, numeric_linear, decay_numeric},
    {"decayNumericExp", 5, 5, numeric_exp, decay_numeric},
    {"decayNumericGauss", 5, 5, numeric_gauss, decay_numeric},
    {"decayDateLinear", 5, 5, date_linear, decay_date},
    {"decayDateExp", 5, 5, date_exp, decay_date},
    {"decayDateGauss", 5, 5, date_gauss, decay_date},
    {"decayGeoLinear", 5, 5, geo_linear, decay_geo},
    {"decayGeoExp", 5, 5, geo_exp, decay_geo},
    {"decayGeoGauss", 5, 5, geo_gauss, decay_geo},
};
const size_t vz_score_function_count = VZ_COUNT_OF(vz_score_functions);

bool vz_score_function_is_vector(unsigned function)
{
    return function < VECTOR_FUNCTIONS;
}
