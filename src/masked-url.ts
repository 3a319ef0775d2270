/**
 * A URL as it may be shown: the password as `**`. Text that is no URL is shown without what stands before an `@`.
 * Mirrors `kombu/utils/url.py maybe_sanitize_url`.
 */
export function maskedUrl(url: string): string {
  return url
    .split(";")
    .map((part) =>
      part
        .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:/?#@]*):[^@/]*@/i, "$1:**@")
        .replace(/([?&](?:password|ssl_keyfile_password|key_password)=)[^&]*/gi, "$1**"),
    )
    .join(";");
}
