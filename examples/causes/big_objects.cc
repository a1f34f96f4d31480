// Large binary objects: a batch has five hundred attachments, which nobody asked how large they are.
#include <openssl/evp.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "examples/causes/postgres_source.h"

namespace {

using connectors::Checked, connectors::PgConnection, connectors::PgResult, connectors::Row;

struct Attachment {
  int64_t id;
  std::string text;
};

std::string DecodeBase64(std::string_view base64) {
  const std::unique_ptr<EVP_ENCODE_CTX, void (*)(EVP_ENCODE_CTX*)> decoder(EVP_ENCODE_CTX_new(), EVP_ENCODE_CTX_free);
  std::string text(base64.size() / 4 * 3 + 3, '\0');  // <- one attachment, whole, and the batch keeps five hundred
  unsigned char* const out = reinterpret_cast<unsigned char*>(text.data());
  int bytes = 0, rest = 0;
  EVP_DecodeInit(decoder.get());
  if (EVP_DecodeUpdate(decoder.get(), out, &bytes, reinterpret_cast<const unsigned char*>(base64.data()),
                       static_cast<int>(base64.size())) < 0 ||
      EVP_DecodeFinal(decoder.get(), out + bytes, &rest) < 0) {
    throw std::runtime_error("an attachment is no base64");
  }
  text.resize(static_cast<size_t>(bytes + rest));
  return text;
}

void Send(std::vector<Attachment>& batch, connectors::State& state) {
  for (const Attachment& attachment : batch) {
    connectors::Upsert("attachments", {{"id", attachment.id}, {"part", int64_t{0}}, {"text", attachment.text}});
    state["cursor"] = attachment.id;
  }
  connectors::Checkpoint(state);
  batch.clear();
}

void Update(const connectors::Configuration& configuration, connectors::State& state) {
  const PgConnection database = connectors::ConnectPostgres(configuration.at("postgres").get<std::string>());
  const std::string query = "SELECT id, content FROM attachments WHERE id > " +
                            std::to_string(state.value("cursor", int64_t{0})) + " ORDER BY id";
  if (!PQsendQuery(database.get(), query.c_str())) Checked(database, nullptr);
  PQsetSingleRowMode(database.get());
  std::vector<Attachment> batch;
  while (PGresult* const next = PQgetResult(database.get())) {
    const PgResult row = Checked(database, next);
    if (PQntuples(row.get()) == 0) continue;  // what ends the answer
    batch.push_back({std::atoll(PQgetvalue(row.get(), 0, 0)), DecodeBase64(connectors::CellText(row, 0, 1))});
    if (batch.size() == 500) Send(batch, state);
  }
  Send(batch, state);
}

}  // namespace

int main(int argc, char** argv) { return connectors::RunConnector(argc, argv, Update); }
