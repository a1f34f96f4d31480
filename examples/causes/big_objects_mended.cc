// big_objects, mended: an attachment is decoded in pieces of 48 KiB, and each piece is sent before the next is decoded.
#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

#include "examples/causes/postgres_source.h"

namespace {

using connectors::Checked, connectors::PgConnection, connectors::PgResult, connectors::Row;

class Base64Decoder {
 public:
  static constexpr size_t kPieceBytes = 64 << 10;  // of base64

  Base64Decoder() : decoder_(EVP_ENCODE_CTX_new(), EVP_ENCODE_CTX_free) { EVP_DecodeInit(decoder_.get()); }

  // Replaces `text` by what the next piece, of kPieceBytes at most, says.
  void Decode(std::string_view base64, std::string& text) {
    text.resize(kPieceBytes);
    int bytes = 0;
    if (EVP_DecodeUpdate(decoder_.get(), reinterpret_cast<unsigned char*>(text.data()), &bytes,
                         reinterpret_cast<const unsigned char*>(base64.data()), static_cast<int>(base64.size())) < 0) {
      throw std::runtime_error("an attachment is no base64");
    }
    text.resize(static_cast<size_t>(bytes));
  }

 private:
  std::unique_ptr<EVP_ENCODE_CTX, void (*)(EVP_ENCODE_CTX*)> decoder_;
};

void SendInPieces(int64_t id, std::string_view base64) {
  Base64Decoder decoder;
  Row part = {{"id", id}, {"part", int64_t{0}}, {"text", std::string()}};
  while (!base64.empty()) {
    decoder.Decode(base64.substr(0, Base64Decoder::kPieceBytes), std::get<std::string>(part["text"]));
    base64.remove_prefix(std::min(base64.size(), Base64Decoder::kPieceBytes));
    connectors::Upsert("attachments", part);
    ++std::get<int64_t>(part["part"]);
  }
}

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const PgConnection database = connectors::ConnectPostgres(configuration.at("postgres").get<std::string>());
  const std::string query = "SELECT id, content FROM attachments WHERE id > " +
                            std::to_string(state.value("cursor", int64_t{0})) + " ORDER BY id";
  if (!PQsendQuery(database.get(), query.c_str())) Checked(database, nullptr);
  PQsetSingleRowMode(database.get());
  while (PGresult* const next = PQgetResult(database.get())) {
    const PgResult row = Checked(database, next);
    if (PQntuples(row.get()) == 0) continue;  // what ends the answer
    const int64_t id = std::atoll(PQgetvalue(row.get(), 0, 0));
    SendInPieces(id, connectors::CellText(row, 0, 1));
    state["cursor"] = id;
    connectors::Checkpoint(state);
  }
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
