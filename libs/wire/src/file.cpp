#include "brainlock/wire/file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace brainlock::wire {

Result<ByteSource> open_source(const std::filesystem::path& file, std::uint64_t max_bytes) {
  std::error_code code;
  const auto status = std::filesystem::status(file, code);
  if (!std::filesystem::exists(status)) return {ErrorCode::kNotFound, file.string() + ": no such file"};
  if (!std::filesystem::is_regular_file(status)) return {ErrorCode::kInvalidArgument, file.string() + ": not a regular file"};
  const auto size = std::filesystem::file_size(file, code);
  if (code) return {ErrorCode::kIo, file.string() + ": " + code.message()};
  if (size > max_bytes) {
    return {ErrorCode::kTooLarge,
            file.string() + ": " + std::to_string(size) + " bytes, expected at most " + std::to_string(max_bytes)};
  }
  std::shared_ptr<std::FILE> stream(std::fopen(file.c_str(), "rbe"), [](std::FILE* f) {
    if (f != nullptr) std::fclose(f);
  });
  if (stream == nullptr) return {ErrorCode::kIo, file.string() + ": cannot open: " + std::strerror(errno)};
  return ByteSource([stream, name = file.string()](std::span<std::uint8_t> out) -> Status {
    const std::size_t got = std::fread(out.data(), 1, out.size(), stream.get());
    if (got == out.size()) return {};
    if (std::ferror(stream.get()) != 0) return {ErrorCode::kIo, name + ": cannot read: " + std::strerror(errno)};
    return {ErrorCode::kTruncated, name + ": " + std::to_string(got) + " bytes left, expected " + std::to_string(out.size())};
  });
}

Status read_evaluation_keys_file(const std::filesystem::path& file, std::shared_ptr<const ckks::Parameters> parameters,
                                 std::uint64_t max_bytes,
                                 const std::function<Status(std::span<const ckks::KeyRequest>)>& accept,
                                 const std::function<Status(ckks::EvaluationKey&&)>& consume) {
  BRAINLOCK_ASSIGN(auto source, open_source(file, max_bytes));
  BRAINLOCK_ASSIGN(auto reader, EvaluationKeyReader::begin(std::move(source), std::move(parameters), max_bytes));
  std::error_code code;
  const auto size = std::filesystem::file_size(file, code);
  if (!code && size != reader.total_bytes()) {
    return {size < reader.total_bytes() ? ErrorCode::kTruncated : ErrorCode::kMalformed,
            file.string() + ": " + std::to_string(size) + " bytes, expected " + std::to_string(reader.total_bytes())};
  }
  if (accept) BRAINLOCK_TRY(accept(reader.manifest()));
  while (true) {
    BRAINLOCK_ASSIGN(auto key, reader.next());
    if (!key) return {};
    BRAINLOCK_TRY(consume(std::move(*key)));
  }
}

Status write_evaluation_keys_file(const std::filesystem::path& file, std::shared_ptr<const ckks::Parameters> parameters,
                                  std::vector<ckks::KeyRequest> manifest, AtomicFileOptions options,
                                  const std::function<Status(const std::function<Status(ckks::EvaluationKey&&)>&)>& produce) {
  BRAINLOCK_ASSIGN(auto out, AtomicFile::create(file, options));
  const ByteSink sink = [&out](ByteView part) { return out.write(part); };
  BRAINLOCK_ASSIGN(auto writer, EvaluationKeyWriter::begin(sink, std::move(parameters), std::move(manifest)));
  BRAINLOCK_TRY(produce([&writer](ckks::EvaluationKey&& key) { return writer.add(key); }));
  BRAINLOCK_TRY(writer.finish());
  return out.commit();
}

}  // namespace brainlock::wire
