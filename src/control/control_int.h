/* What the files of this layer share: the control thread's state. After gr_control_start only that
 * thread touches it, but for `inbox` and `orders` (any thread), `on_order` and `ctx` (never change). */
#ifndef GR_CONTROL_CONTROL_INT_H
#define GR_CONTROL_CONTROL_INT_H

#include "control/control.h"
#include "report/csv.h"
#include "report/window.h"

#include <signal.h>
#include <termios.h>

typedef enum {
    GR__CONTROL_READY, /* no test yet: CSV files and usage figures already run */
    GR__CONTROL_TEST,  /* from STARTED on: tables, run time, pings */
    GR__CONTROL_DONE   /* FINAL was written out: waits for `bye` only */
} gr__control_state;

typedef struct gr__monitor {
    uv_timer_t ping, usage;
    gr_mail pong; /* the load thread's answer; at most one is under way */
    gr_ns ping_sent_at;
    bool ping_outstanding, hang_warned; /* hang_warned: for this ping */
    bool cpu_warned;                    /* in this test */
    gr_ns measured_at, cpu_ns;          /* at the last usage figures */
} gr__monitor;

typedef struct gr__signal {
    uv_signal_t handle;
    struct sigaction before; /* given back at the end */
    bool taken;
} gr__signal;

typedef struct gr__keys {
    uv_tty_t tty;
    char bytes[64]; /* of one read */
    bool open;
} gr__keys;

struct gr_control {
    gr_loop *loop;
    gr_mailbox *inbox;  /* reports, pong and bye; on our loop */
    gr_mailbox *orders; /* on the load thread's loop */
    gr_order_cb *on_order;
    void *ctx;
    gr_order *spare_stop; /* a stop must get through without memory too; NULL once used */
    gr_mail bye;          /* from gr_control_finish: nothing comes after it */

    gr_control_opts opts; /* its strings point to those below */
    char *json_path;      /* NULL: no JSON file */

    gr__control_state state;
    gr_run_state run_state; /* the load thread's, from its last report */
    uint32_t user_count;
    gr_ns started_at;   /* of the test; 0: none yet */
    gr_stats *stats;    /* everything merged since the test started */
    gr_hist loop_lag;   /* likewise */
    gr_csv *csv;        /* NULL: no CSV files */
    gr_window *window;  /* NULL: no full history */
    bool csv_failing;   /* said so in the log */
    bool merge_failing; /* likewise */

    uv_timer_t table_timer, csv_timer, run_timer;
    gr__monitor monitor;
    gr__signal sigint, sigterm;
    gr__keys keys;
    uint32_t sigint_count;
    uv_thread_t thread;
};

/* control.c */
void gr__control_stop(gr_control *c, gr_stop_reason reason);

/* output.c: what is written, and when */
void gr__output_table(gr_control *c);
void gr__output_csv(gr_control *c);
void gr__output_final(gr_control *c);

/* monitor.c */
void gr__monitor_init(gr_control *c);
void gr__monitor_test_started(gr_control *c);
void gr__monitor_stop(gr_control *c);
void gr__monitor_on_pong(gr_control *c);

/* signals.c; both in the load thread, while the control thread does not run */
int gr__signals_open(gr_control *c);
void gr__signals_close(gr_control *c);

/* keys.c; likewise */
int gr__keys_open(gr_control *c); /* does nothing without a terminal */
void gr__keys_close(gr_control *c);
void gr__keys_restore(void); /* the terminal's own mode; from any thread that ends the process */

#endif
