/* The two dialects of config files: what each line means, and what is refused with which words. */
#include "test.h"
#include "cli/folder.h"
#include "cli/conf.c"

typedef int parse_function(gr_conf *c, gr_str text, gr_buf *why);

typedef struct example {
    const char *text;
    const char *expected; /* "key=value;key=[a,b];" or the sentence after the file's name */
} example;

static void show(const gr_conf *c, gr_buf *out) {
    for (size_t i = 0; i < c->n; i++) {
        const gr_conf_item *item = &c->items[i];
        CHECK_EQ(gr_buf_addf(out, "%s=%s", item->key.p, item->items ? "[" : item->value.p), 0);
        for (size_t k = 0; k < item->items_n; k++)
            CHECK_EQ(gr_buf_addf(out, "%s%s", k ? "," : "", item->items[k].p), 0);
        CHECK_EQ(gr_buf_addf(out, "%s;", item->items ? "]" : ""), 0);
    }
}

static void run_examples(parse_function *parse, const example *examples, size_t n,
                         int expected_rc) {
    for (size_t i = 0; i < n; i++) {
        gr_conf c = {.path = GR_STR("file")};
        gr_buf out = GR_BUF_INIT;
        int rc = parse(&c, gr_str_c(examples[i].text), &out);
        if (rc == 0) show(&c, &out);
        cr_assert(rc == expected_rc, "%s: %d %.*s", examples[i].text, rc, (int)out.n, out.p);
        cr_assert(gr_str_eq(gr_buf_str(&out), gr_str_c(examples[i].expected)),
                  "%s: got <%.*s>, expected <%s>", examples[i].text, (int)out.n, out.p ? out.p : "",
                  examples[i].expected);
        gr_conf_deinit(&c);
        gr_buf_deinit(&out);
    }
}

TEST(lines) {
    static const example GOOD[] = {
        {"", ""},
        {"\n\n", ""},
        {"# a\n; b\n[locust]\n---\n----- x\n  # c", ""},
        {"a = b", "a=b;"},
        {"a=b", "a=b;"},
        {"a: b", "a=b;"},
        {"a b", "a=b;"},
        {"a\tb", "a=b;"},
        {"a", "a=true;"},
        {"  a  ", "a=true;"},
        {"a =", "a=;"},
        {"a:", "a=;"},
        {"--a b", "--a=b;"},
        {"a = b c  d", "a=b c  d;"},
        {"a = http://h:1/x?y=z", "a=http://h:1/x?y=z;"},
        {"a = b # c", "a=b;"},
        {"a = b ; c", "a=b;"},
        {"a = b#c", "a=b#c;"},
        {"a = b;c", "a=b;c;"},
        {"a = #c", "a=#c;"},
        {"a # c", "a=true;"},
        {"a   ; c", "a=true;"},
        {"a = \"b c\"", "a=b c;"},
        {"a = 'b # c'", "a=b # c;"},
        {"a = 'b' # c", "a=b;"},
        {"a = \"\"", "a=;"},
        {"a = \"b", "a=\"b;"},
        {"a = it's", "a=it's;"},
        {"a = 'b' c", "a='b' c;"},
        {"a = [b, c]", "a=[b, c];"}, /* still a text: only options know whether they are lists */
        {"a = b\r\nc = d\r\n", "a=b;c=d;"},
        {"a = b\nc = d\na = e", "a=e;c=d;"},
    };
    static const example BAD[] = {
        {"= b", "file:1: this line is not a setting: expected 'key = value'"},
        {"a = b\n\n: c", "file:3: this line is not a setting: expected 'key = value'"},
        {"a#b", "file:1: this line is not a setting: expected 'key = value'"},
    };
    run_examples(gr_conf_parse_lines, GOOD, GR_LEN(GOOD), 0);
    run_examples(gr_conf_parse_lines, BAD, GR_LEN(BAD), GR_E_INVALID);
}

#define OURS "[tool.locust]\n"

TEST(toml_values) {
    static const example GOOD[] = {
        {"", ""},
        {OURS, ""},
        {OURS "a = \"b\"", "a=b;"},
        {OURS "a='b'", "a=b;"},
        {OURS "\ta\t=\t'b'\t# c\n", "a=b;"},
        {OURS "a = 'b'\r\nc = 'd'\r\n", "a=b;c=d;"},
        {OURS "a-B_1 = 5\n2 = 6", "a-B_1=5;2=6;"},
        {OURS "\"a b\" = 5\n'c' = 6", "a b=5;c=6;"},
        {OURS "a = true\nb = false", "a=True;b=False;"},
        {OURS "a = 1_000\nb = -5\nc = +5\nd = 0", "a=1000;b=-5;c=5;d=0;"},
        {OURS "a = 0xFf\nb = 0o17\nc = 0b101\nd = 0xffff_ffff", "a=255;b=15;c=5;d=4294967295;"},
        {OURS "a = 1.5\nb = -0.1e-3\nc = 1e+5\nd = 5_0.2_5", "a=1.5;b=-0.1e-3;c=1e+5;d=50.25;"},
        {OURS "a = inf\nb = -nan", "a=inf;b=-nan;"},
        {OURS "a = \"\\t\\\"\\\\\\n\\u00e9\\U0001F600\"", "a=\t\"\\\n\xc3\xa9\xf0\x9f\x98\x80;"},
        {OURS "a = '\\n\"'", "a=\\n\";"},
        {OURS "a = \"\"\nb = ''", "a=;b=;"},
        {OURS "a = \"\"\"\nx\ny\"\"\"", "a=x\ny;"},
        {OURS "a = \"\"\"x\\\n   \n  y\"\"\"", "a=xy;"},
        {OURS "a = \"\"\"x\"\"y\"\"\"\"\"", "a=x\"\"y\"\";"},
        {OURS "a = '''x\\ny'z'''", "a=x\\ny'z;"},
        {OURS "a = []", "a=[];"},
        {OURS "a = ['x', \"y\", 3, true, 1.5,]", "a=[x,y,3,True,1.5];"},
        {OURS "a = [ # c ]\n  'x' # ,\n , \n\n'y'\n] # d\nb = 1", "a=[x,y];b=1;"},
        {"[ tool . \"locust\" ]  # c\na = 1", "a=1;"},
    };
    run_examples(gr_conf_parse_toml, GOOD, GR_LEN(GOOD), 0);
}

TEST(toml_other_tables_are_walked_over) {
    static const example GOOD[] = {
        {"a = 1\n[x]\nb = 2\n" OURS "c = 3\n[y]\nd = 4\n", "c=3;"},
        {"[tool]\na = 1\n[tool.locustx]\nb = 2\n[tool.x.locust]\nc=1", ""},
        {"[x]\na = \"\"\"\n" OURS "b = 1\n\"\"\"\n" OURS "c = 3", "c=3;"},
        {"[x]\na = '''\n" OURS "b = 1\n'''\n" OURS "c = 3", "c=3;"},
        {"[x]\na = [\n[1],\n\"]\", # ]\n{b = ']'},\n]\n" OURS "c = 3", "c=3;"},
        {"[x]\na = 2020-01-01T10:00:00Z\nb.c = {d = 1}\n" OURS "c = 3", "c=3;"},
        {"[[x]]\na=1\n[[x]]\na=2\n" OURS "c=3\n[[x.y]]\nd=4", "c=3;"},
        {"[tool]\nx = {y = 1}\n" OURS "c = 3", "c=3;"},
        {"[x]\na = \"\\\\\"\n" OURS "c = 3", "c=3;"},
    };
    run_examples(gr_conf_parse_toml, GOOD, GR_LEN(GOOD), 0);
}

TEST(toml_refusals) {
    static const example BAD[] = {
        {OURS "a", "file:2: expected '=' behind the key"},
        {OURS "= 1", "file:2: expected a key"},
        {OURS "a =", "file:2: expected a value"},
        {OURS "a = x", "file:2: x is no value for an option: strings need quotes"},
        {OURS "a = 012", "file:2: 012 is no value for an option: strings need quotes"},
        {OURS "a = 1__0", "file:2: 1__0 is no value for an option: strings need quotes"},
        {OURS "a = 1.", "file:2: 1. is no value for an option: strings need quotes"},
        {OURS "a = 1e5.5", "file:2: 1e5.5 is no value for an option: strings need quotes"},
        {OURS "a = 1.2.3", "file:2: 1.2.3 is no value for an option: strings need quotes"},
        {OURS "a = 0x", "file:2: 0x is no value for an option: strings need quotes"},
        {OURS "a = 0x1ffffffffffffffff",
         "file:2: 0x1ffffffffffffffff is no value for an option: strings need quotes"},
        {OURS "a = 2020-01-01",
         "file:2: 2020-01-01 is no value for an option: strings need quotes"},
        {OURS "a = 1 2", "file:2: unexpected text behind the value"},
        {OURS "a = 'x\ny'", "file:2: this string has no end"},
        {OURS "\na = \"\"\"x\n\n", "file:3: this string has no end"},
        {OURS "a = \"\\q\"", "file:2: unknown escape in a string"},
        {OURS "a = \"\\u12\"", "file:2: \\u needs 4 hexadecimal digits"},
        {OURS "a = \"\\ud800\"", "file:2: U+D800 is not a character"},
        {OURS "a = [1", "file:2: this array has no closing bracket"},
        {OURS "a = [1,", "file:2: this array has no closing bracket"},
        {OURS "a = [1\n2]", "file:3: expected a comma in this array"},
        {OURS "a = [[1]]", "file:2: an option's value cannot hold arrays in arrays or tables"},
        {OURS "a = {b = 1}", "file:2: an option's value cannot hold arrays in arrays or tables"},
        {OURS "a = 1\na = 2", "file:3: a is there twice"},
        {OURS "a.b = 1", "file:2: a key here is one option's name, without dots"},
        {OURS "\"\"\"a\"\"\" = 1", "file:2: a key cannot be a multi-line string"},
        {OURS OURS, "file:2: the table [tool.locust] is there twice"},
        {"[tool.locust", "file:1: this table's name has no closing bracket"},
        {"[tool.locust] x", "file:1: unexpected text behind the table's name"},
        {"[]", "file:1: expected a key"},
        {"[[tool.locust]]", "file:1: options belong into one plain table, [tool.locust]"},
        {"[tool.locust.x]", "file:1: options belong into one plain table, [tool.locust]"},
        {"tool.locust.users = 1", "file:1: write the options under a [tool.locust] line"},
        {"[tool]\nlocust = {users = 1}", "file:2: write the options under a [tool.locust] line"},
        {"[x]\na = [1\n", "file:2: this value has no closing bracket"},
        {"[x]\na = '''b\n", "file:2: this string has no end"},
    };
    run_examples(gr_conf_parse_toml, BAD, GR_LEN(BAD), GR_E_INVALID);
}

TEST(toml_array_limit) {
    gr_buf text = GR_BUF_INIT, why = GR_BUF_INIT;
    gr_conf c = {.path = GR_STR("file")};
    CHECK_EQ(gr_buf_addc(&text, OURS "a = ["), 0);
    for (int i = 0; i < 1001; i++)
        CHECK_EQ(gr_buf_addc(&text, "1,"), 0);
    CHECK_EQ(gr_buf_addc(&text, "]"), 0);
    CHECK_EQ(gr_conf_parse_toml(&c, gr_buf_str(&text), &why), GR_E_INVALID);
    CHECK_STR(gr_buf_str(&why), "file:2: this array has over 1000 values");
    gr_conf_deinit(&c);
    gr_buf_deinit(&text);
    gr_buf_deinit(&why);
}

/* Every beginning of a rich file must end in a result, never in a crash or a loop. */
TEST(toml_cut_anywhere) {
    static const char WHOLE[] =
        "[x]\na = \"\"\"b\\u00e9\"\"\"\n[tool.locust]\n'k' = [ 'x',\n \"y\\\n\", "
        "0x1f ] # c\nz = '''q'''\nw = -1.5e3\n[y]\nb = [ {c = 1}, ]\n";
    for (size_t n = 0; n < sizeof WHOLE; n++) {
        char *copy = gr_malloc(n); /* exactly n bytes, so that the sanitizers see an overrun */
        gr_conf c = {.path = GR_STR("file")};
        gr_buf why = GR_BUF_INIT;
        memcpy(copy, WHOLE, n);
        int rc = gr_conf_parse_toml(&c, (gr_str){copy, n}, &why);
        CHECK(rc == 0 || rc == GR_E_INVALID);
        gr_conf_deinit(&c);
        rc = gr_conf_parse_lines(&c, (gr_str){copy, n}, &why);
        CHECK(rc == 0 || rc == GR_E_INVALID);
        gr_conf_deinit(&c);
        gr_buf_deinit(&why);
        gr_free(copy);
    }
}

TEST(the_ending_chooses_the_dialect) {
    static const char TOML[] = "[tool.locust]\nhost = 'x' # c\n";
    gr_buf why = GR_BUF_INIT;
    gr_conf c = GR_CONF_INIT;
    enter_empty_folder();
    write_bytes("a.toml", TOML, sizeof TOML - 1);
    write_bytes("toml", TOML, sizeof TOML - 1);
    CHECK_EQ(gr_conf_read(&c, "a.toml", &why), 0);
    CHECK_EQ(c.n, 1);
    CHECK_STR(c.items[0].value, "x");
    CHECK_EQ(c.items[0].line, 2);
    gr_conf_deinit(&c);
    CHECK_EQ(gr_conf_read(&c, "toml", &why), 0);
    CHECK_STR(c.items[0].key, "host");
    gr_conf_deinit(&c);
    gr_buf_deinit(&why);
}

TEST(files_that_cannot_be_read) {
    static char big[GR_CONF_BYTES_MAX + 1];
    gr_buf why = GR_BUF_INIT;
    gr_conf c = GR_CONF_INIT;
    enter_empty_folder();
    CHECK_EQ(gr_conf_read(&c, "missing", &why), -ENOENT);
    CHECK_EQ(why.n, 0);
    gr_conf_deinit(&c);
    CHECK_EQ(mkdir("folder", 0700), 0);
    CHECK_EQ(gr_conf_read(&c, "folder", &why), -EISDIR);
    CHECK_STR(gr_buf_str(&why), "cannot read the config file folder: Is a directory");
    gr_conf_deinit(&c);
    gr_buf_clear(&why);
    memset(big, '\n', sizeof big);
    write_bytes("big", big, sizeof big);
    CHECK_EQ(gr_conf_read(&c, "big", &why), -EFBIG);
    CHECK_STR(gr_buf_str(&why), "cannot read the config file big: File too large");
    gr_conf_deinit(&c);
    gr_buf_deinit(&why);
}

TEST(survives_each_failed_allocation) {
    static const char TOML[] = "[tool.locust]\nb = ['x', \"\\t\"]\na = 5\n";
    int rc = GR_E_NOMEM;
    enter_empty_folder();
    write_bytes("a.toml", TOML, sizeof TOML - 1);
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 200; n++) {
        gr_conf c = GR_CONF_INIT;
        gr_buf why = GR_BUF_INIT;
        FAIL_ALLOC_AT(n) rc = gr_conf_read(&c, "a.toml", &why);
        if (rc == 0) CHECK_EQ(c.n, 2);
        gr_conf_deinit(&c);
        gr_buf_deinit(&why);
    }
    CHECK_EQ(rc, 0);
}
