// What a DNS name looks like to Kuma: with underscores, and a dot at its end if one likes.

export const DNS_NAME =
  /^([a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})(\.[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})*\.?$/;
