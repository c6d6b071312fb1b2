/** The part of qr that the console uses: the dark squares of a QR code, row by row. */
export function encodeQR(
  text: string,
  output: 'raw',
  options?: { ecc?: 'low' | 'medium' | 'quartile' | 'high'; border?: number },
): boolean[][];
