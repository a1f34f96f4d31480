// std::map, unordered_map, list and deque: nodes are charged to the line that inserts.
#include <deque>
#include <list>
#include <map>
#include <unordered_map>

#include "truth.h"

int main() {
  using Map = std::map<int, long>;
  auto& map = *new Map;                       // LINE: map_object 48/1
  for (int i = 0; i < 1000; ++i) map[i] = i;  // LINE: map_nodes 43200/900 of 48000/1000
  for (int i = 0; i < 100; ++i) map.erase(i);
  static_assert(sizeof(std::_Rb_tree_node<Map::value_type>) == 48);

  auto& list = *new std::list<int>;                 // LINE: list_object 24/1
  for (int i = 0; i < 500; ++i) list.push_back(i);  // LINE: list_nodes 12000/500
  static_assert(sizeof(std::_List_node<int>) == 24);

  auto& table = *new std::unordered_map<int, int>;  // LINE: table_object 56/1
  table.reserve(Opaque(500));                       // LINE: buckets
  Amount buckets;
  buckets.Allocate(table.bucket_count() * sizeof(void*));
  Say("buckets", buckets);
  for (int i = 0; i < 500; ++i) table.emplace(i, i);  // LINE: table_nodes 8000/500

  auto& deque = *new std::deque<int>;  // LINE: deque_start 656/3
  Keep(&deque);
  Keep(&table);
}
