/**
 * A URL as it may be shown: the password as `**`, up to the last `@`, since one that was not percent-encoded may hold
 * any sign. Text that is no URL is shown without what stands before an `@`. Several are separated by `;`.
 * Mirrors `kombu/utils/url.py maybe_sanitize_url`.
 */
export function maskedUrl(url: string): string {
  return url
    .split(";")
    .map((part) =>
      part
        .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:/?#@]*):.*@/i, "$1:**@")
        .replace(/^(?![a-z][a-z0-9+.-]*:\/\/).*@/i, "**@")
        .replace(/([?&](?:password|ssl_keyfile_password|key_password)=)[^&]*/gi, "$1**"),
    )
    .join(";");
}
