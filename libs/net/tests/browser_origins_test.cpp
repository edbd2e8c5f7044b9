// Which pages may ask: origins as operators write them and as browsers send them.
#include "brainlock/net/browser_origins.hpp"

#include <gtest/gtest.h>

namespace brainlock::net {
namespace {

Result<BrowserOrigins> parsed(const std::vector<std::string>& origins) { return BrowserOrigins::parse(origins); }
std::string allowed(const BrowserOrigins& origins, const std::string& origin) { return std::string(origins.allowed({{"Host", "a"}, {"Origin", origin}})); }

TEST(BrowserOrigins, TakeWhatBrowsersSendAndAllowJustThat) {
  for (const std::string text : {"https://app.example.org", "http://localhost:8000", "http://localhost", "https://xn--bcher-kva.example:8443", "http://127.0.0.1:8000", "http://[::1]:8000",
                                 "https://[2001:db8::1]", "http://a:1", "https://a.example:65535", "http://1.example", "https://a.example:80", "http://a.example:443"}) {
    const auto origins = parsed({text});
    ASSERT_TRUE(origins.ok()) << origins.error().to_string();
    EXPECT_EQ(allowed(*origins, text), text);
    EXPECT_EQ(allowed(*origins, text + "0"), "");
    EXPECT_EQ(allowed(*origins, text.substr(0, text.size() - 1)), "");
  }
}

TEST(BrowserOrigins, RefuseOtherSpellingsAndNameTheRightOne) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"https://app.example.org/", "https://app.example.org"},        {"https://app.example.org/page", "https://app.example.org"},
      {"https://App.Example.ORG", "https://app.example.org"},         {"https://app.example.org:443", "https://app.example.org"},
      {"http://localhost:80", "http://localhost"},                    {"http://localhost:08000", "http://localhost:8000"},
      {"http://[::0:1]:8000", "http://[::1]:8000"},                   {"https://[2001:DB8::1]", "https://[2001:db8::1]"},
      {"http://[127.0.0.1]", "http://127.0.0.1"},
  };
  for (const auto& [text, right] : cases) {
    const auto origins = parsed({text});
    ASSERT_FALSE(origins.ok()) << text;
    EXPECT_EQ(origins.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(origins.error().message, "'" + text + "': expected a page's origin as browsers write it, which is " + right + " here");
  }
}

TEST(BrowserOrigins, RefuseWhatIsNoOriginAndSayWhatIsOne) {
  for (const std::string text : {"", " ", "null", "app.example.org", "//app.example.org", "https://", "https:///", "https://:8000", "ftp://app.example.org", "HTTPS://app.example.org",
                                 "file://", "https://user@app.example.org", "https://user:word@app.example.org", " https://app.example.org", "https://app.example.org ",
                                 "https://app example.org", "https://a.example https://b.example", "https://a.example,https://b.example", "https://*.example.org", "**", "https://*",
                                 "https://app.example.org:", "https://app.example.org:0", "https://app.example.org:65536", "https://app.example.org:8000x", "https://app.example.org:-1",
                                 "https://app.example.org?a", "https://app.example.org#a", "https://b\xc3\xbc""cher.example", "https://.example.org", "https://a..example.org",
                                 "https://example.org.", "http://127.1", "http://256.0.0.1", "http://127.0.0.01", "http://1", "http://[::1", "http://::1", "http://[::1]a", "http://[]",
                                 "http://[::ffff:127.0.0.1]", "https://a.example\r\nX: 1", "https://a.example\nX: 1"}) {
    const auto origins = parsed({text});
    ASSERT_FALSE(origins.ok()) << text;
    EXPECT_EQ(origins.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(origins.error().message.find("expected a page's origin as browsers write it, https://app.example.org or http://localhost:8000, or * for all"), std::string::npos)
        << origins.error().message;
  }
  EXPECT_FALSE(parsed({"https://" + std::string(2000, 'a')}).ok());
  EXPECT_LT(parsed({std::string(5000, 'a')}).error().message.size(), 300u);
  const auto second = parsed({"https://a.example", "null"});
  ASSERT_FALSE(second.ok()) << "one that is right excuses no other";
  EXPECT_TRUE(second.error().message.starts_with("'null'"));
}

TEST(BrowserOrigins, AllowNoOthersByteForByte) {
  const auto origins = parsed({"https://app.example.org", "http://localhost:8000"});
  ASSERT_TRUE(origins.ok());
  EXPECT_EQ(allowed(*origins, "https://app.example.org"), "https://app.example.org");
  EXPECT_EQ(allowed(*origins, "http://localhost:8000"), "http://localhost:8000");
  for (const std::string origin : {"http://app.example.org", "https://app.example.org:443", "https://app.example.org/", "https://App.example.org", "https://app.example.org.evil.example",
                                   "https://evil.example/https://app.example.org", "https://xapp.example.org", "https://example.org", "http://localhost", "http://localhost:80000",
                                   "http://localhost:8000 https://app.example.org", "https://app.example.org, http://localhost:8000", "null", "*", "", " "}) {
    EXPECT_EQ(allowed(*origins, origin), "") << origin;
  }
  EXPECT_EQ(allowed(*origins, std::string("https://app.example.org\0", 24)), "");
  EXPECT_EQ(allowed(*origins, std::string(100'000, 'a')), "");
}

TEST(BrowserOrigins, AreOfOneHeaderWhateverItsCase) {
  const auto origins = parsed({"https://a.example", "https://b.example"});
  ASSERT_TRUE(origins.ok());
  EXPECT_EQ(origins->allowed({{"oRIGIN", "https://a.example"}}), "https://a.example");
  EXPECT_EQ(origins->allowed({}), "");
  EXPECT_EQ(origins->allowed({{"Referer", "https://a.example"}, {"X-Origin", "https://a.example"}}), "");
  EXPECT_EQ(origins->allowed({{"Origin", "https://a.example"}, {"origin", "https://b.example"}}), "");
  EXPECT_EQ(origins->allowed({{"Origin", "https://evil.example"}, {"Origin", "https://a.example"}}), "");
  EXPECT_EQ(origins->allowed({{"Origin", "https://a.example"}, {"Origin", "https://a.example"}}), "");
}

TEST(BrowserOrigins, AStarIsEveryOriginAndRepeatsNone) {
  const auto every = parsed({"https://a.example", "*"});
  ASSERT_TRUE(every.ok());
  for (const std::string origin : {"https://a.example", "https://b.example", "null", "nonsense"}) EXPECT_EQ(allowed(*every, origin), "*");
  EXPECT_EQ(every->allowed({}), "") << "who is no page is told nothing";
  EXPECT_EQ(every->allowed({{"Origin", "a"}, {"Origin", "b"}}), "");
}

TEST(BrowserOrigins, NoneAllowNobody) {
  EXPECT_EQ(allowed(BrowserOrigins(), "https://a.example"), "");
  EXPECT_EQ(allowed(BrowserOrigins(), ""), "");
  EXPECT_EQ(allowed(*parsed({}), "*"), "");
}

}  // namespace
}  // namespace brainlock::net
