//! Tells the frames of a WebSocket that say something from those that only keep the connection (RFC 6455 §5).
//! Payloads are skipped, not read.

const OPCODE: u8 = 0x0f;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const MASK_BYTES: u64 = 4;

/// Follows one direction of a WebSocket, however it is cut into pieces.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    at: At,
}

#[derive(Debug, Default, Clone, Copy)]
enum At {
    /// The first byte of a frame.
    #[default]
    Beginning,
    /// The second: masked or not, and how long.
    Length,
    /// So many further bytes of the length; what is known of it; and the mask's.
    LongLength { left: u8, length: u64, mask: u64 },
    /// So many bytes that do not matter.
    Payload(u64),
}

impl Frames {
    /// Looks at the next bytes. Whether a frame began in them that is neither a ping nor a pong.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> bool {
        let mut says_something = false;
        let mut rest = bytes;
        loop {
            if let At::Payload(left) = self.at {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                rest = rest.get(skipped..).unwrap_or_default();
                let left = left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
                self.at = if left == 0 {
                    At::Beginning
                } else {
                    At::Payload(left)
                };
            }
            let Some((byte, behind)) = rest.split_first() else {
                return says_something;
            };
            if matches!(self.at, At::Payload(_)) {
                return says_something;
            }
            rest = behind;
            says_something |= matches!(self.at, At::Beginning) && !matches!(byte & OPCODE, PING | PONG);
            self.at = after(self.at, *byte);
        }
    }
}

fn after(at: At, byte: u8) -> At {
    match at {
        At::Beginning => At::Length,
        At::Length => {
            let mask = if byte & MASKED == 0 { 0 } else { MASK_BYTES };
            match byte & LENGTH {
                126 => At::LongLength {
                    left: 2,
                    length: 0,
                    mask,
                },
                127 => At::LongLength {
                    left: 8,
                    length: 0,
                    mask,
                },
                length => At::Payload(u64::from(length) + mask),
            }
        }
        At::LongLength { left, length, mask } => {
            let length = length << 8 | u64::from(byte);
            match left.saturating_sub(1) {
                0 => At::Payload(length.saturating_add(mask)),
                left => At::LongLength { left, length, mask },
            }
        }
        At::Payload(_) => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { MASKED } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(mask | length as u8),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // Payload and mask look like text frames: who miscounts sees one.
        frame.extend(std::iter::repeat_n(0x81, length + if masked { 4 } else { 0 }));
        frame
    }

    #[test]
    fn pings_and_pongs_do_not_count_as_activity_and_other_frames_do() {
        for masked in [true, false] {
            for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
                for opcode in [0x0, 0x1, 0x2, 0x8, PING, PONG] {
                    let says = !matches!(opcode, PING | PONG);
                    let bytes = frame(opcode, length, masked);
                    for piece in [1, 2, 3, 7, bytes.len()] {
                        let mut frames = Frames::default();
                        let mut said = false;
                        for piece in bytes.chunks(piece) {
                            said |= frames.pass(piece);
                        }
                        assert_eq!(said, says, "opcode {opcode}, {length} bytes");
                        assert!(!frames.pass(&frame(PING, 3, masked)), "the next frame is found");
                        assert!(frames.pass(&frame(0x1, 3, masked)));
                    }
                }
            }
        }
    }
}
