#pragma once

#include <string_view>

namespace brainlock::client_page {

/// web/client.html.
std::string_view page_text();

}  // namespace brainlock::client_page
