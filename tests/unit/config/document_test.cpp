#include "config/document.h"

#include "unit/config/files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

/// What YAML itself brings along.
namespace rproxy::config::testing {
namespace {

TEST(Document, ShowsAValidFileWhenThereIsNothing) {
    const std::string expected =
        "f:1:1: the file is empty, the shortest valid file is: backends: [10.0.0.1:8080]\n";
    EXPECT_EQ(issues_of(""), expected);
    EXPECT_EQ(issues_of("\n\n"), expected);
    EXPECT_EQ(issues_of("# nothing yet\n"), expected);
    EXPECT_EQ(issues_of("---\n"), expected);
    EXPECT_EQ(issues_of("\xef\xbb\xbf"), expected);
}

TEST(Document, TakesByteOrderMarkAndWindowsLineEnds) {
    EXPECT_EQ(must_load("\xef\xbb\xbf"
                        "method: random\r\nbackends: [a:1]\r\n"),
              must_load("method: random\nbackends: [a:1]\n"));
}

TEST(Document, CountsLinesAndColumnsFromOneDespiteByteOrderMark) {
    EXPECT_EQ(issues_of("\xef\xbb\xbf"
                        "backends: []\r\nnope: 1\r\n"),
              issues_of("backends: []\nnope: 1\n"));
}

TEST(Document, RefusesWhatIsNotUtf8) {
    EXPECT_EQ(issues_of("backends: []\n# caf\xe9\n"), "f:2:6: not UTF-8, save the file as UTF-8\n");
    EXPECT_EQ(issues_of("a: \xed\xa0\x80"), "f:1:4: not UTF-8, save the file as UTF-8\n");
    EXPECT_EQ(issues_of("a: \xc0\xaf"), "f:1:4: not UTF-8, save the file as UTF-8\n");
    EXPECT_EQ(issues_of("a: \xf5\x80\x80\x80"), "f:1:4: not UTF-8, save the file as UTF-8\n");
    EXPECT_EQ(issues_of("a: \xe2\x82"), "f:1:4: not UTF-8, save the file as UTF-8\n");
    EXPECT_EQ(issues_of(std::string("\xff\xfe"
                                    "a\0",
                                    4)),
              "f:1:1: the file is UTF-16, save it as UTF-8\n");
}

TEST(Document, TakesUtf8InComments) {
    must_load("backends: [] # für später € 😀\n");
}

TEST(Document, RefusesControlCharacters) {
    EXPECT_EQ(issues_of(std::string("backends: []\0", 13)),
              "f:1:13: a control character, remove it\n");
}

TEST(Document, SaysThatTabsDoNotIndent) {
    EXPECT_EQ(issues_of("pools:\n  web:\n\tbackends: []\n"),
              "f:3:1: a tab in the indentation, indent with spaces\n");
}

TEST(Document, ExplainsBrokenYaml) {
    EXPECT_EQ(issues_of("backends: [a:1\n"),
              "f:2:1: a '[' is not closed, add the missing ']' or ','\n");
    EXPECT_EQ(issues_of("log: {level: info\n"),
              "f:2:1: a '{' is not closed, add the missing '}' or ','\n");
    EXPECT_EQ(
        issues_of("method: a: b\n"),
        "f:1:10: a ':' where no key can be, indent the keys of a map equally, and quote a value "
        "that contains ': '\n");
    EXPECT_EQ(issues_of("method: *m\n"),
              "f:1:9: an alias without an anchor, define it before its use with &name, or quote a "
              "value that begins with '*'\n");
}

TEST(Document, FindsAQuoteThatTheEndOfTheFileCutsOff) {
    const std::string closed = "backends: []\nsticky: {cookie: a}\nmethod: ";
    for (const std::string text :
         {"\"random\n", "'random\n", "\"random\\\"\n", "\"ran", "'it''\n"}) {
        EXPECT_NE(issues_of(closed + text).find("a quote is not closed"), std::string::npos)
            << text;
    }
    must_load(closed + "\"random\"");
    must_load(closed + "'random'\n");
    must_load("backends: []\nlisteners: [{tls: {certificates: [{key: k, cert: 'it''s'}]}}]");
    must_load(
        "\xef\xbb\xbf"
        "backends: 'a:1'");
}

TEST(Document, RefusesWhatIsNoMap) {
    EXPECT_EQ(
        issues_of("backends:[a]\n"),
        "f:1:1: found 'backends:[a]' where the keys of the file should be, write 'key: value' "
        "lines; a space follows the colon\n");
    EXPECT_EQ(
        issues_of("- a:1\n"),
        "f:1:1: found a list where the keys of the file should be, write 'key: value' lines; a "
        "space follows the colon\n");
}

TEST(Document, RefusesASecondDocument) {
    EXPECT_EQ(issues_of("backends: []\n---\nbackends: []\n"),
              "f:3:1: a second YAML document begins here, one file is one document: remove the "
              "'---'\n");
}

TEST(Document, TakesOneDocumentWithItsMarkers) {
    must_load("---\nbackends: []\n...\n");
}

TEST(Document, RefusesTagsThatMeanNothing) {
    EXPECT_EQ(issues_of("backends: !servers []\n"),
              "f:1:11: backends: the tag '!servers' means nothing here, remove it\n");
    must_load("backends: !!seq []\n");
}

TEST(Document, TakesATaggedStringForText) {
    EXPECT_EQ(must_load("backends: []\nsticky: {cookie: !!str 12}").pools.front().sticky->cookie,
              "12");
}

TEST(Document, FindsDuplicateKeysAtAnyDepthButKeepsReading) {
    EXPECT_EQ(issues_of("pools:\n  a:\n    backends: [{address: a:1, address: b:1}]\n"
                        "    retry: {limit: 1, limit: 2}\n    nope: 1\n  a: {}\n"),
              "f:3:31: pools.a.backends[0].address: duplicate key, it is given already in line 3\n"
              "f:4:23: pools.a.retry.limit: duplicate key, it is given already in line 4\n"
              "f:5:5: pools.a.nope: unknown key, allowed here: method, hash_on, selection, sticky, "
              "backends, resolve, tls, health_check, outlier, slow_start, retry, timeouts, "
              "when_all_down, queue or hide_backend_identity\n"
              "f:6:3: pools.a: duplicate key, it is given already in line 2\n");
}

TEST(Document, ExpandsAnchorsAndMergeKeys) {
    EXPECT_EQ(must_load("pools:\n  a: &base\n    method: random\n    backends: [a:1]\n"
                        "    retry: &r {limit: 1}\n"
                        "  b:\n    <<: *base\n    backends: [b:1]\n"
                        "  c: {<<: [*base], retry: {<<: *r, budget: 1%}}\nroutes: [{pool: a}]\n"),
              must_load("pools:\n"
                        "  a: {method: random, backends: [a:1], retry: {limit: 1}}\n"
                        "  b: {method: random, backends: [b:1], retry: {limit: 1}}\n"
                        "  c: {method: random, backends: [a:1], retry: {limit: 1, budget: 1%}}\n"
                        "routes: [{pool: a}]\n"));
}

TEST(Document, RefusesToMergeWhatIsNoMap) {
    EXPECT_EQ(issues_of("<<: 1\nbackends: []\n"),
              "f:1:1: <<: only maps can be merged, found '1', an alias of a map: *name\n");
}

TEST(Document, RefusesAnAliasOfItself) {
    EXPECT_EQ(
        issues_of("backends: &b [*b]\n"),
        "f:1:15: backends[0]: an alias refers to the value that it is part of, write the value "
        "out\nf:1:15: backends[0]: found nothing, expected an address (host:port) or a map "
        "with one\n");
}

TEST(Document, BoundsTheExpansionOfAliases) {
    // The "billion laughs": each line is ten times the one before.
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        const std::string last = "*a" + std::to_string(i - 1);
        std::string list = last;
        for (int j = 1; j < 10; ++j) {
            list += ", " + last;
        }
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + list + "]\n";
    }
    const auto loaded = load(text);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().back().message,
              "more than 1000000 values, aliases and merge keys expanded");
}

TEST(Document, BoundsTheExpansionOfMergeKeys) {
    std::string text = "m0: &m0 {";
    for (int i = 0; i < 2000; ++i) {
        text += "k" + std::to_string(i) + ": 1, ";
    }
    text += "}\n";
    for (int i = 0; i < 2000; ++i) {
        text += "x" + std::to_string(i) + ": {<<: *m0}\n";
    }
    const auto loaded = load(text);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().back().message,
              "more than 1000000 values, aliases and merge keys expanded");
}

TEST(Document, BoundsDepth) {
    for (const char* const open : {"[", "{a: "}) {
        std::string text = "backends: ";
        for (int i = 0; i < 100'000; ++i) {
            text += open;
        }
        const auto loaded = load(text);
        ASSERT_FALSE(loaded);
        EXPECT_EQ(loaded.error().front().message, "nested too deeply") << open;
    }
}

TEST(Document, BoundsSize) {
    EXPECT_EQ(issues_of(std::string(kLongestText + 1, ' ')),
              "f: the file has 8388609 bytes, at most 8388608 are read\n");
}

TEST(Document, LoadsTenThousandBackends) {
    std::string text = "pools:\n  web:\n    backends:\n";
    for (int i = 0; i < 10'000; ++i) {
        text += "      - {address: 10.0." + std::to_string(i / 250) + "." +
                std::to_string(i % 250) + ":8080, name: b" + std::to_string(i) +
                ", weight: 3, max_connections: 100}\n";
    }
    const Snapshot snapshot = must_load(text);
    ASSERT_EQ(snapshot.pools.size(), 1U);
    EXPECT_EQ(snapshot.pools.front().backends.size(), 10'000U);
}

}  // namespace
}  // namespace rproxy::config::testing
