#include "api/handles.hpp"

#include <map>
#include <mutex>

namespace fabula::api {
namespace {

constexpr std::uintptr_t kFirst = 0x1000, kApart = 0x10;

struct Entry {
  HandleKind kind;
  std::shared_ptr<void> object;
};

/// The handles of the process that are open.
struct OpenHandles {
  std::mutex mutex;
  std::map<std::uintptr_t, Entry> entries = {};
  std::uintptr_t next = kFirst;
};

OpenHandles& open_handles() {
  static OpenHandles& handles = *new OpenHandles;  // what a program leaves open at its exit stays: drivers may be gone
  return handles;
}

std::string_view name_of(HandleKind kind) {
  switch (kind) {
    case HandleKind::kDevice:
      return "device";
    case HandleKind::kModel:
      return "model";
    case HandleKind::kSession:
      return "session";
  }
  return "handle";
}

std::map<std::uintptr_t, Entry>::iterator entry_of(OpenHandles& handles, HandleKind kind, std::uintptr_t handle) {
  const auto found = handles.entries.find(handle);
  if (handle == 0) refuse(FABULA_INVALID_ARGUMENT, "the {} is NULL", name_of(kind));
  if (found == handles.entries.end()) {
    const bool was_one = handle >= kFirst && handle < handles.next && (handle - kFirst) % kApart == 0;
    if (was_one) refuse(FABULA_INVALID_ARGUMENT, "the {} was closed before", name_of(kind));
    refuse(FABULA_INVALID_ARGUMENT, "the {} is no handle of this library", name_of(kind));
  }
  if (found->second.kind != kind)
    refuse(FABULA_INVALID_ARGUMENT, "a {} was given where a {} is expected", name_of(found->second.kind),
           name_of(kind));
  return found;
}

}  // namespace

std::uintptr_t add_handle(HandleKind kind, std::shared_ptr<void> object) {
  OpenHandles& handles = open_handles();
  const std::lock_guard lock(handles.mutex);
  const std::uintptr_t handle = handles.next;
  handles.entries.emplace(handle, Entry{kind, std::move(object)});
  handles.next += kApart;
  return handle;
}

std::shared_ptr<void> find_handle(HandleKind kind, std::uintptr_t handle) {
  OpenHandles& handles = open_handles();
  const std::lock_guard lock(handles.mutex);
  return entry_of(handles, kind, handle)->second.object;
}

std::shared_ptr<void> remove_handle(HandleKind kind, std::uintptr_t handle) {
  OpenHandles& handles = open_handles();
  const std::lock_guard lock(handles.mutex);
  const auto entry = entry_of(handles, kind, handle);
  std::shared_ptr<void> object = std::move(entry->second.object);
  handles.entries.erase(entry);
  return object;
}

}  // namespace fabula::api
