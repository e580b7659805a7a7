/* One entry: counting a request or a failure, merging, and the figures that Locust derives. */
#include "base/err.h"
#include "stats/stats_int.h"

#include <math.h>

#define NS_PER_MS 1e6
/* Current rates leave out the newest seconds, for which workers may not have reported yet, and look
 * at ten before those. */
#define RATE_FROM_SECONDS_AGO 12
#define RATE_TO_SECONDS_AGO   3

void gr__entry_init(gr_entry *e, gr_str method, gr_str name, gr_wall_ns at) {
    *e = (gr_entry){.method = method, .name = name, .started_at = at};
    gr_hist_init(&e->response);
    gr_hist_init(&e->service);
    gr_hist_init(&e->due);
    gr_hist_init(&e->lag);
}

void gr__entry_deinit(gr_entry *e) {
    gr_hist_deinit(&e->response);
    gr_hist_deinit(&e->service);
    gr_hist_deinit(&e->due);
    gr_hist_deinit(&e->lag);
    gr__series_deinit(&e->series);
}

void gr__entry_reset(gr_entry *e, gr_wall_ns at) {
    e->requests = e->none_requests = e->failures = e->bytes = 0;
    e->started_at = at;
    e->last_request_at = 0;
    gr_hist_reset(&e->response);
    gr_hist_reset(&e->service);
    gr_hist_reset(&e->due);
    gr_hist_reset(&e->lag);
    e->series.n = 0;
}

static int record_time(gr_hist *h, int64_t ns) {
    return ns == GR_TIME_NONE ? 0 : gr_hist_record(h, ns);
}

int gr__entry_record(gr_entry *e, const gr_sample *sample) {
    int rc = 0;
    e->requests++;
    e->bytes += sample->bytes;
    e->last_request_at = GR_MAX(e->last_request_at, sample->ended_at);
    if (sample->response_ns == GR_TIME_NONE) e->none_requests++;
    /* The only code is GR_E_NOMEM, and one failure must not keep the others from counting. */
    rc |= record_time(&e->response, sample->response_ns);
    rc |= record_time(&e->service, sample->service_ns);
    rc |= record_time(&e->due, sample->due_ns);
    rc |= record_time(&e->lag, sample->lag_ns);
    rc |= gr__series_add(&e->series, &(gr_second){sample->ended_at / GR__SECOND_NS, 1, 0});
    return rc;
}

int gr__entry_fail(gr_entry *e, gr_wall_ns at) {
    e->failures++;
    return gr__series_add(&e->series, &(gr_second){at / GR__SECOND_NS, 0, 1});
}

int gr__entry_merge(gr_entry *into, const gr_entry *from) {
    int rc = 0;
    into->requests += from->requests;
    into->none_requests += from->none_requests;
    into->failures += from->failures;
    into->bytes += from->bytes;
    into->started_at = GR_MIN(into->started_at, from->started_at);
    into->last_request_at = GR_MAX(into->last_request_at, from->last_request_at);
    rc |= gr_hist_merge(&into->response, &from->response);
    rc |= gr_hist_merge(&into->service, &from->service);
    rc |= gr_hist_merge(&into->due, &from->due);
    rc |= gr_hist_merge(&into->lag, &from->lag);
    rc |= gr__series_merge(&into->series, &from->series);
    return rc;
}

double gr_entry_fail_ratio(const gr_entry *e) {
    if (e->requests == 0) return e->failures ? 1 : 0;
    return (double)e->failures / (double)e->requests;
}

double gr_entry_mean_ms(const gr_entry *e) {
    return gr_hist_mean(&e->response) / NS_PER_MS;
}

double gr_entry_median_ms(const gr_entry *e) {
    return gr_entry_percentile_ms(e, 0.5);
}

double gr_entry_min_ms(const gr_entry *e) {
    return gr_entry_percentile_ms(e, 0);
}

double gr_entry_max_ms(const gr_entry *e) {
    return gr_entry_percentile_ms(e, 1);
}

double gr_entry_percentile_ms(const gr_entry *e, double p) {
    return (double)gr_hist_percentile(&e->response, p) / NS_PER_MS;
}

double gr_entry_mean_bytes(const gr_entry *e) {
    return e->requests ? (double)e->bytes / (double)e->requests : 0;
}

double gr_entry_total_rate(const gr_entry *e, const gr_entry *total, bool failures) {
    if (total->last_request_at <= total->started_at) return 0; /* none yet, or the clock jumped */
    double seconds = (double)(total->last_request_at - total->started_at) / GR__SECOND_NS;
    return (double)(failures ? e->failures : e->requests) / seconds;
}

double gr_entry_current_rate(const gr_entry *e, const gr_entry *total, bool failures) {
    if (total->last_request_at == 0) return 0;
    int64_t newest = total->last_request_at / GR__SECOND_NS;
    int64_t first = GR_MAX(newest - RATE_FROM_SECONDS_AGO, total->started_at / GR__SECOND_NS);
    int64_t last = newest - RATE_TO_SECONDS_AGO;
    if (first > last) return 0;
    return (double)gr__series_sum(&e->series, first, last, failures) / (double)(last - first + 1);
}

double gr_bucket_ms(double ms) {
    double step = ms < 100 ? 1 : ms < 1000 ? 10 : ms < 10000 ? 100 : 1000;
    return nearbyint(ms / step) * step; /* to even, in the rounding mode that C starts with */
}
