/** What a person reads on the board: `order.created → shop.example`. */
export function jobName(eventType: string, url: string): string {
  return `${eventType} → ${URL.canParse(url) ? new URL(url).host : url}`;
}
