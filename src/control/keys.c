/* Keys on a terminal change the number of users while a test runs: w +1, W +10, s -1, S -10.
 *
 * The terminal is read through a description of its own (uv_tty_init opens it again), because stdin's is often
 * stderr's too, and must go on blocking. It is put into a mode without lines and echo, but with Ctrl-C, and
 * gets its own mode back whatever ends the process: gr__keys_close, exit(), a second Ctrl-C, or a
 * signal that kills. Only a process in the foreground touches the terminal; it belongs to somebody else otherwise. */
#include "control/control_int.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TERMINAL STDIN_FILENO

/* What else than SIGINT ends the process from the keyboard or by a crash. */
static const int DEADLY[] = {SIGQUIT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

/* One for the process, as there is one terminal; read by signal handlers. */
static struct termios before;
static volatile sig_atomic_t changed;

static bool in_foreground(void) {
    return tcgetpgrp(TERMINAL) == getpgrp();
}

/* Only what is safe inside a signal handler. */
void gr__keys_restore(void) {
    if (!changed) return;
    changed = 0;
    if (in_foreground()) tcsetattr(TERMINAL, TCSANOW, &before);
}

static void on_deadly(int number) { /* SA_RESETHAND: the next one is final */
    int saved = errno;
    gr__keys_restore();
    errno = saved;
    raise(number);
}

/* Where somebody else has installed a handler, it is theirs. */
static void watch_deadly(void) {
    struct sigaction ours = {.sa_handler = on_deadly, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    struct sigaction now;
    for (size_t i = 0; i < GR_LEN(DEADLY); i++)
        if (sigaction(DEADLY[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(DEADLY[i], &ours, NULL);
}

static void unwatch_deadly(void) {
    struct sigaction now;
    for (size_t i = 0; i < GR_LEN(DEADLY); i++)
        if (sigaction(DEADLY[i], NULL, &now) == 0 && now.sa_handler == on_deadly)
            signal(DEADLY[i], SIG_DFL);
}

static int change_of(char key) {
    switch (key) {
    case 'w': return 1;
    case 'W': return 10;
    case 's': return -1;
    case 'S': return -10;
    default: return 0;
    }
}

static void on_buffer(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    gr_control *c = handle->data;
    (void)hint;
    *buf = uv_buf_init(c->keys.bytes, sizeof c->keys.bytes);
}

/* What was typed in one go is one order. */
static void on_keys(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    gr_control *c = stream->data;
    int32_t change = 0;
    if (n < 0) { /* the terminal is gone, or no longer ours */
        uv_read_stop(stream);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        change += change_of(buf->base[i]);
    if (change == 0 || c->state != GR__CONTROL_TEST) return;
    gr_order *o = gr_order_new(GR_ORDER_USERS);
    if (!o) return; /* the key may be pressed again */
    o->users_change = change;
    gr_mailbox_post(c->orders, &o->mail);
}

static int change_mode(void) {
    static bool at_exit;
    if (tcgetattr(TERMINAL, &before) < 0) return -errno;
    struct termios now = before;
    now.c_lflag &= (tcflag_t) ~(tcflag_t)(ECHO | ICANON);
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    if (!at_exit && atexit(gr__keys_restore) != 0) return GR_E_NOMEM;
    at_exit = true;
    changed = 1;
    watch_deadly();
    return tcsetattr(TERMINAL, TCSANOW, &now) < 0 ? -errno : 0;
}

int gr__keys_open(gr_control *c) {
    int rc;
    if (uv_guess_handle(TERMINAL) != UV_TTY || !in_foreground()) return 0;
    if ((rc = uv_tty_init(gr_loop_uv(c->loop), &c->keys.tty, TERMINAL, 1)) < 0) return rc;
    c->keys.open = true;
    c->keys.tty.data = c;
    if ((rc = uv_read_start((uv_stream_t *)&c->keys.tty, on_buffer, on_keys)) < 0) return rc;
    return change_mode();
}

void gr__keys_close(gr_control *c) {
    if (!c->keys.open) return;
    gr__keys_restore();
    unwatch_deadly();
    uv_close((uv_handle_t *)&c->keys.tty, NULL);
    c->keys.open = false;
}
