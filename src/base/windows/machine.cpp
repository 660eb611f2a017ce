#include "base/machine.hpp"

#include "base/windows/system.hpp"

namespace fabula {

std::int64_t process_id() {
  return static_cast<std::int64_t>(::GetCurrentProcessId());
}

std::string processor_name() {
  wchar_t name[128];
  DWORD size = sizeof name;
  if (::RegGetValueW(HKEY_LOCAL_MACHINE, L"HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", L"ProcessorNameString",
                     RRF_RT_REG_SZ, nullptr, name, &size) != ERROR_SUCCESS)
    return "";
  const std::string text = to_utf8(name);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace fabula
