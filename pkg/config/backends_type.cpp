#include "base/strings.h"
#include "config/special_types.h"
#include "config/table.h"

#include <string>
#include <unordered_map>
#include <utility>

namespace rproxy::config {

namespace {

constexpr std::string_view kSeparators = ",; \t\r\n";
constexpr std::string_view kForms = "addresses (host:port) in one string or a list";

/// Reads the backends of one pool and refuses what would make two of them one.
class BackendList {
public:
    BackendList(Reader& reader, std::vector<Backend>& backends)
        : reader_(reader), backends_(backends) {}

    void read_all(const Node& node) {
        if (node.is_scalar()) {
            read_addresses(node);
            return;
        }
        if (!node.is_sequence()) {
            reader_.fail_type(node, kForms);
            return;
        }
        backends_.reserve(node.items.size());
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const Reader::Scope scope(reader_, i);
            read_item(node.items[i]);
        }
    }

private:
    void read_item(const Node& node) {
        if (node.is_scalar()) {
            read_addresses(node);
        } else if (node.is_map()) {
            read_map(node);
        } else {
            reader_.fail_type(node, "an address (host:port) or a map with one");
        }
    }

    /// One string, as people paste it: any of the separators between addresses.
    void read_addresses(const Node& node) {
        const auto pieces = split_any(node.text, kSeparators);
        if (pieces.empty()) {
            reader_.fail(node.at, "no address", "write [] for no backends");
        }
        Node piece_node = node;
        for (const auto piece : pieces) {
            piece_node.text = piece;
            Backend backend;
            address_.read(reader_, piece_node, backend.address);
            add(std::move(backend), node.at);
        }
    }

    void read_map(const Node& node) {
        Backend backend;
        if (node.entries.size() == 1 && node.find_entry("address") == nullptr &&
            node.entries.front().key.contains('.')) {
            // `10.0.0.1: 8080` is a map to YAML.
            const Entry& entry = node.entries.front();
            reader_.fail(
                entry.at, "found the key " + quoted(entry.key) + " where an address should be",
                "write the address without a space: " + entry.key + ":" + entry.value.text);
            return;
        }
        read_section(reader_, node, backend, backend_section());
        add(std::move(backend), node.at);
    }

    void add(Backend backend, Position at) {
        if (backend.address == Endpoint{}) {
            return;  // reported already
        }
        const std::string address = backend.address.to_string();
        if (backend.name.empty()) {
            backend.name = address;
        }
        const auto [same_address, new_address] = addresses_.try_emplace(address, at);
        if (!new_address) {
            reader_.fail(
                at, "duplicate backend " + quoted(address),
                "it is in this pool already, in line " + std::to_string(same_address->second.line));
            return;
        }
        const auto [same_name, new_name] = names_.try_emplace(backend.name, at);
        if (!new_name) {
            reader_.fail(at, "duplicate backend name " + quoted(backend.name),
                         "names are unique in a pool; it is taken in line " +
                             std::to_string(same_name->second.line));
            return;
        }
        backends_.push_back(std::move(backend));
    }

    Reader& reader_;
    std::vector<Backend>& backends_;
    Type<Endpoint> address_{address(AddressOf::Backend)};
    std::unordered_map<std::string, Position> addresses_;
    std::unordered_map<std::string, Position> names_;
};

Node write_backend(const Backend& backend) {
    const std::string address = backend.address.to_string();
    Node all = write_section(backend, backend_section());
    Node node = Node::map();
    for (auto& entry : all.entries) {
        const auto* const key = backend_section().find(entry.key);
        const bool is_default = entry.key == "name"
                                    ? backend.name == address
                                    : same(entry.value, key->shape.key.default_value);
        if (entry.key == "address" || !is_default) {
            node.entries.push_back(std::move(entry));
        }
    }
    return node.entries.size() == 1 ? Node::string(address) : node;
}

}  // namespace

Type<std::vector<Backend>> backends() {
    const Shape text{.kind = Shape::Kind::Text, .name = std::string(kForms), .pattern = ""};
    const Shape item{.kind = Shape::Kind::Either, .parts = {text, backend_section().shape()}};
    return {.shape = {.kind = Shape::Kind::Either,
                      .name = "addresses in one string, or a list of addresses and maps",
                      .parts = {text, Shape{.kind = Shape::Kind::List, .parts = {item}}}},
            .read = [](Reader& reader, const Node& node,
                       std::vector<Backend>& value) { BackendList(reader, value).read_all(node); },
            .write =
                [](const std::vector<Backend>& value) {
                    Node node = Node::sequence();
                    for (const auto& backend : value) {
                        node.items.push_back(write_backend(backend));
                    }
                    return node;
                }};
}

}  // namespace rproxy::config
