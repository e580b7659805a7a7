/* SIGINT and SIGTERM end the test; a second SIGINT ends the process. Handled in the control thread, so a load thread
 * that is busy in a task delays nothing. Whatever was installed before is given back at the end; a SIGINT that the
 * process inherited as ignored (a background job) stays ignored. */
#include "control/control_int.h"
#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

/* So that the shell sees a death by SIGINT and stops its loops, too. Process 1 of a container has no
 * default action: it leaves with the code that a shell would report. */
_Noreturn static void die_by_sigint(void) {
    sigset_t set;
    gr__keys_restore();
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGINT);
    _exit(128 + SIGINT);
}

static void on_sigint(uv_signal_t *handle, int number) {
    gr_control *c = handle->data;
    (void)number;
    if (c->sigint_count++ > 0) die_by_sigint();
    gr__control_stop(c, GR_STOP_SIGINT);
}

static void on_sigterm(uv_signal_t *handle, int number) {
    (void)number;
    gr_log(GR_LOG_INFO, "locust.main", "Got SIGTERM signal");
    gr__control_stop(handle->data, GR_STOP_SIGTERM);
}

static int take(gr_control *c, gr__signal *s, int number, uv_signal_cb cb) {
    int rc;
    if (sigaction(number, NULL, &s->before) < 0) return -errno;
    if ((rc = uv_signal_init(gr_loop_uv(c->loop), &s->handle)) < 0) return rc;
    s->taken = true;
    s->handle.data = c;
    return uv_signal_start(&s->handle, cb, number);
}

static void give_back(gr__signal *s, int number) {
    if (!s->taken) return;
    uv_close((uv_handle_t *)&s->handle, NULL);
    sigaction(number, &s->before, NULL);
    s->taken = false;
}

int gr__signals_open(gr_control *c) {
    struct sigaction inherited;
    if (sigaction(SIGINT, NULL, &inherited) < 0) return -errno;
    bool ignored = inherited.sa_handler == SIG_IGN;
    int rc = ignored ? 0 : take(c, &c->sigint, SIGINT, on_sigint);
    return rc < 0 ? rc : take(c, &c->sigterm, SIGTERM, on_sigterm);
}

void gr__signals_close(gr_control *c) {
    give_back(&c->sigint, SIGINT);
    give_back(&c->sigterm, SIGTERM);
}
