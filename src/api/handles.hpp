#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "api/call.hpp"

// Handles are numbers that no later handle has, not addresses: one that was closed is told apart from an open one, and
// one of another kind.
namespace fabula::api {

enum class HandleKind : std::uint8_t { kDevice, kModel, kSession };

struct DeviceObject;
struct ModelObject;
class SessionObject;

/// Takes part in owning an object until it is closed.
std::uintptr_t add_handle(HandleKind kind, std::shared_ptr<void> object);
/// Both throw StatusError invalid for what is no open handle of the kind, saying what it is instead.
std::shared_ptr<void> find_handle(HandleKind kind, std::uintptr_t handle);
std::shared_ptr<void> remove_handle(HandleKind kind, std::uintptr_t handle);

template <class Handle>
struct HandleOf;
template <>
struct HandleOf<fabula_device> {
  using Object = DeviceObject;
  static constexpr HandleKind kKind = HandleKind::kDevice;
};
template <>
struct HandleOf<fabula_model> {
  using Object = ModelObject;
  static constexpr HandleKind kKind = HandleKind::kModel;
};
template <>
struct HandleOf<fabula_session> {
  using Object = SessionObject;
  static constexpr HandleKind kKind = HandleKind::kSession;
};

template <class Handle>
Handle* new_handle(std::shared_ptr<typename HandleOf<Handle>::Object> object) {
  return reinterpret_cast<Handle*>(add_handle(HandleOf<Handle>::kKind, std::move(object)));
}
/// The object, which lives at least as long as what this returns.
template <class Handle>
std::shared_ptr<typename HandleOf<Handle>::Object> object_of(const Handle* handle) {
  return std::static_pointer_cast<typename HandleOf<Handle>::Object>(
      find_handle(HandleOf<Handle>::kKind, reinterpret_cast<std::uintptr_t>(handle)));
}
template <class Handle>
std::shared_ptr<typename HandleOf<Handle>::Object> close_handle(Handle* handle) {
  return std::static_pointer_cast<typename HandleOf<Handle>::Object>(
      remove_handle(HandleOf<Handle>::kKind, reinterpret_cast<std::uintptr_t>(handle)));
}

}  // namespace fabula::api
