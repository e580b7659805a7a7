/* Likeness of words; the ratios are those of Python's difflib.SequenceMatcher. */
#include "test.h"
#include "cli/suggest.c"

TEST(ratios) {
    static const struct {
        const char *candidate, *word;
        int permille;
    } CASES[] = {
        {"--host", "--hots", 833},
        {"--users", "--users", 1000},
        {"--food", "--foo", 909},
        {"abc", "xyz", 0},
        {"", "", 1000},
        {"a", "", 0},
        {"--run-time", "--run_time", 900},
        {"abcabc", "cab", 667},
    };
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        double ratio = gr_suggest_ratio(gr_str_c(CASES[i].candidate), gr_str_c(CASES[i].word));
        cr_assert((int)(ratio * 1000 + .5) == CASES[i].permille, "%s and %s: %g",
                  CASES[i].candidate, CASES[i].word, ratio);
    }
}

TEST(long_words_resemble_nothing) {
    char word[GR_SUGGEST_BYTES_MAX + 1];
    memset(word, 'a', sizeof word);
    gr_str s = {word, sizeof word};
    CHECK(gr_suggest_ratio(s, s) < 0.1);
    s.n--;
    CHECK(gr_suggest_ratio(s, s) > 0.9);
}
